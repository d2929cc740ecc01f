package paced

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// decode reads a value as those do who decode in turns: objects and arrays bit by bit,
// and everything else at once.
func decode(d *json.Decoder, depth int) (any, error) {
	if depth == 0 {
		var value any
		err := d.Decode(&value)
		return value, err
	}
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	inner := DecodeJSON(raw, func(int) {})
	switch raw[0] {
	case '{':
		object := map[string]any{}
		return object, Members(inner, func(name string) (err error) {
			object[name], err = decode(inner, depth-1)
			return err
		})
	case '[':
		array := []any{}
		return array, Elements(inner, func() error {
			value, err := decode(inner, depth-1)
			array = append(array, value)
			return err
		})
	}
	return decode(inner, 0)
}

// whole decodes a document with a decoder, and wants nothing after it.
func whole(text []byte, read func(*json.Decoder) (any, error)) (value any, work int, err error) {
	d := DecodeJSON(text, func(n int) { work += n })
	if value, err = read(d); err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("there is more")
		}
	}
	return value, work, err
}

// wantSame compares what is read of a document in all ways that there are with what
// encoding/json reads.
func wantSame(t *testing.T, text []byte) {
	t.Helper()
	var want any
	wantErr := json.Unmarshal(text, &want)
	readers := map[string]func(*json.Decoder) (any, error){
		"at once":         func(d *json.Decoder) (any, error) { return decode(d, 0) },
		"members of it":   func(d *json.Decoder) (any, error) { return decode(d, 1) },
		"members of them": func(d *json.Decoder) (any, error) { return decode(d, 3) },
	}
	if object, ok := want.(map[string]any); ok || wantErr != nil {
		readers["as an object"] = func(d *json.Decoder) (any, error) {
			got := map[string]any{}
			err := Members(d, func(name string) (err error) {
				got[name], err = decode(d, 0)
				return err
			})
			return got, err
		}
		readers["with members left out"] = func(d *json.Decoder) (any, error) {
			got := maps.Clone(object)
			seen := map[string]bool{}
			err := Members(d, func(name string) error {
				seen[name] = true
				return Skip(d)
			})
			if err == nil && !slices.Equal(slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(got))) {
				err = errors.New("members are missing")
			}
			return got, err
		}
	}
	if _, ok := want.([]any); ok || wantErr != nil {
		readers["as an array"] = func(d *json.Decoder) (any, error) {
			got := []any{}
			err := Elements(d, func() error {
				value, err := decode(d, 0)
				got = append(got, value)
				return err
			})
			return got, err
		}
	}
	for how, read := range readers {
		got, work, err := whole(text, read)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%.200q, %s: got %v, want %v", text, how, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%.200q, %s: got %v, want %v", text, how, got, want)
		}
		if err == nil && work != len(text)*PerJSONByte {
			t.Fatalf("%.200q, %s: work on %d bytes counts as %d", text, how, len(text), work)
		}
	}
}

// randomJSON writes a document, most often one that is valid.
func randomJSON(b *strings.Builder, depth int) {
	space := func() { b.WriteString([]string{"", "", "", " ", "\n\t"}[rand.IntN(5)]) }
	if rand.IntN(400) == 0 {
		b.WriteString([]string{",", "}", "]", ":", "nul", "01", `"`, "\x00", "'a'", "NaN", "-", `"\q"`, "\xff", `"a` + "\n" + `"`}[rand.IntN(14)])
	}
	space()
	switch n := rand.IntN(10); {
	case depth > 0 && n < 3:
		b.WriteString("{")
		for i := range rand.IntN(4) {
			if i > 0 {
				b.WriteString(",")
			}
			space()
			fmt.Fprintf(b, "%q", []string{"a", "b", "", "c d", "á"}[rand.IntN(5)])
			space()
			b.WriteString(":")
			randomJSON(b, depth-1)
		}
		space()
		b.WriteString("}")
	case depth > 0 && n < 6:
		b.WriteString("[")
		for i := range rand.IntN(4) {
			if i > 0 {
				b.WriteString(",")
			}
			randomJSON(b, depth-1)
		}
		space()
		b.WriteString("]")
	default:
		b.WriteString([]string{
			"0", "-1.5e3", "true", "false", "null", `""`, `"text"`, `"\u00e9\ud83d\ude00"`, `"\\\"\/"`, "\"\u65e5\u672c\"", "12345678901234567890", "\"\xff\"",
		}[rand.IntN(12)])
	}
	space()
}

func TestDecodeJSON_ReadsWhatEncodingJSONReads(t *testing.T) {
	valid := 0
	for range 2_000 {
		var b strings.Builder
		randomJSON(&b, 4)
		wantSame(t, []byte(b.String()))
		if json.Valid([]byte(b.String())) {
			valid++
		}
	}
	if valid < 500 || valid > 1_995 {
		t.Errorf("%d documents of 2000 are valid", valid)
	}
	for _, text := range []string{
		"", " ", "{", "[", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, "[1,]", "[,]", "[1 2]", `{"a" 1}`, `{"a":1 "b":2}`, `{1:2}`, "{} {}", "[]]",
		`{"a":1}x`, "1 1", `{"a":1,"a":2}`, "[[[[[[]]]]]]", "\ufeff{}", `{"a":[}]}`,
	} {
		wantSame(t, []byte(text))
	}
}

// A text of many pieces is read as a short one, whatever lies on their borders.
func TestDecodeJSON_PiecesHaveNoBorders(t *testing.T) {
	for shift := range 4 {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", Piece-20+2*shift) + `{"a": [`)
		for b.Len() < 2*Piece {
			b.WriteString(`12.5e1, true, "\u00e9日本\ud83d\ude00", null, {"b": "c"}, `)
		}
		b.WriteString("0]}")
		wantSame(t, []byte(b.String()))
	}
}

func TestDecodeJSON_GivesWayBetweenPieces(t *testing.T) {
	text := `["` + strings.Repeat("x", 10*Piece) + `"]`
	most, times := 0, 0
	d := DecodeJSON([]byte(text), func(n int) { most, times = max(most, n), times+1 })
	if err := Elements(d, func() error { return Skip(d) }); err != nil {
		t.Fatal(err)
	}
	if most > Piece*PerJSONByte || times < 10 {
		t.Errorf("gave way %d times, after work of %d at most", times, most)
	}
}

func TestMembers_EndWithTheErrorOfEach(t *testing.T) {
	stop := errors.New("stop")
	d := DecodeJSON([]byte(`{"a": 1, "b": 2, "c": 3}`), func(int) {})
	var seen []string
	err := Members(d, func(name string) error {
		if seen = append(seen, name); name == "b" {
			return stop
		}
		return Skip(d)
	})
	if err != stop || !slices.Equal(seen, []string{"a", "b"}) {
		t.Errorf("got %v after %q", err, seen)
	}
	for _, text := range []string{"null", "1", `"a"`, "[]", "true"} {
		d := DecodeJSON([]byte(text), func(int) {})
		if err := Members(d, func(string) error { t.Error("a member of", text); return nil }); err != errShape {
			t.Errorf("%s as an object: %v", text, err)
		}
	}
	for _, text := range []string{"null", "1", `"a"`, "{}", "true"} {
		d := DecodeJSON([]byte(text), func(int) {})
		if err := Elements(d, func() error { t.Error("an element of", text); return nil }); err != errShape {
			t.Errorf("%s as an array: %v", text, err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, "\u00e9", null], "b": {}}`))
	f.Fuzz(func(t *testing.T, text []byte) { wantSame(t, text) })
}

// wantPieces checks the pieces of a text against the text.
func wantPieces(t *testing.T, text string) {
	t.Helper()
	work, last := 0, 0
	var pieces []string
	for piece := range Pieces(text, func(n int) { work += n; last = n }) {
		if len(piece) == 0 || len(piece) > Piece || work != PerJSONByte*len(strings.Join(pieces, "")) {
			t.Fatalf("a piece of %d bytes, after work of %d", len(piece), work)
		}
		pieces = append(pieces, piece)
	}
	if strings.Join(pieces, "") != text {
		t.Fatalf("%d pieces are another text", len(pieces))
	}
	if n := len(pieces); n > 0 && (work != PerJSONByte*len(text) || last != PerJSONByte*len(pieces[n-1])) {
		t.Fatalf("work of %d, at last %d", work, last)
	}
	for _, piece := range pieces {
		if utf8.ValidString(text) && !utf8.ValidString(piece) {
			t.Fatalf("a piece ends within a character")
		}
		if len(piece) <= Piece-utf8.UTFMax && piece != pieces[len(pieces)-1] {
			t.Fatalf("a piece of %d bytes", len(piece))
		}
	}
	at := 0
	for piece := range Pieces([]byte(text), func(int) {}) {
		if string(piece) != pieces[at] {
			t.Fatalf("as bytes, piece %d is another one", at)
		}
		at++
	}
}

func TestPieces_EndBetweenCharacters(t *testing.T) {
	for _, c := range []string{"x", "é", "日", "😀", "\x80", "\xff", "é\x80", "\xf0\x9f", "\xe6\x97\xa5\x80\x80\x80\x80"} {
		for shift := range 5 {
			for _, size := range []int{0, 1, Piece - 1, Piece, Piece + 1, 3*Piece + 2} {
				wantPieces(t, strings.Repeat("x", shift)+strings.Repeat(c, (size+len(c)-1)/len(c)))
			}
		}
	}
}

func TestPieces_EndWhenNobodyWantsMore(t *testing.T) {
	seen, work := 0, 0
	for range Pieces(strings.Repeat("x", 10*Piece), func(n int) { work += n }) {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 || work != 2*Piece*PerJSONByte {
		t.Errorf("%d pieces, work of %d", seen, work)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add("é日😀", 3)
	f.Fuzz(func(t *testing.T, text string, shift int) {
		if len(text) > 0 {
			wantPieces(t, strings.Repeat("x", Piece-10+(shift&15))+strings.Repeat(text, 1+Piece/len(text)))
		}
	})
}
