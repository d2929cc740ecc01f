package strictjson_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"vivarium/web/strictjson"
)

type inner struct {
	Text string `json:"text"`
}

type document struct {
	Name   string            `json:"name"`
	Count  *int              `json:"count"`
	Labels map[string]string `json:"labels"`
	List   []inner           `json:"list"`
	Inner  *inner            `json:"inner"`
	Any    json.RawMessage   `json:"any"`
	Bytes  []byte            `json:"bytes"`
	Empty  *struct{}         `json:"empty"`
}

func TestDecode_SaysByFieldWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "x", "count": 1, "labels": {"a": "b", "A": "c"}, "list": [{"text": "t"}], "inner": {"text": "i"}, "any": {"a": 1, "a": null}, "bytes": "eA=="}`: "",
		` {} `: "",
		`{"name": null, "count": null, "labels": null, "list": null, "inner": null, "any": null, "bytes": null}`: "",
		`{"any": "]}\\\"[{", "name": "after"}`:                                                       "",
		`{"any": [[1, "x"], {"y": [true, null, -1.5e3]}], "list": [ ] , "labels": { }, "empty": {}}`: "",

		``:                           "the request's body: must be one JSON object: it is empty",
		"\xff":                       "the request's body: must be UTF-8",
		`{"name": "` + "\xff" + `"}`: "the request's body: must be UTF-8",
		`{} {}`:                      "the request's body: must be one JSON object: something follows the object",
		`null`:                       "the request's body: must be an object, which null is not",
		` null `:                     "the request's body: must be an object, which null is not",
		`[]`:                         "the request's body: must be an object, which array is not",
		`1`:                          "the request's body: must be an object, which number is not",
		`{"name": 1}`:                "name: must be a string, which number is not",
		`{"bytes": "?"}`:             "bytes: must be base64",

		`{"Name": "x"}`:                          "Name: there is no such field",
		`{"\u006eame": "x", "name": "y"}`:        "name: occurs twice",
		`{"name": "x", "name": "y"}`:             "name: occurs twice",
		`{"inner": {"text": "", "text": ""}}`:    "inner.text: occurs twice",
		`{"labels": {"a": "", "a": ""}}`:         "labels.a: occurs twice",
		`{"labels": {"a": null}}`:                "labels.a: must be a string, which null is not",
		`{"list": [{}, null]}`:                   "list[1]: must be an object, which null is not",
		`{"list": [{"text": "", "Text": ""}]}`:   "list[0].Text: there is no such field",
		`{"z": {"a": 1}, "a": [], "name": "x"}`:  "a: there is no such field; z: there is no such field",
		`{"empty": {"x": 1}}`:                    "empty.x: there is no such field",
		`{"` + strings.Repeat("é", 60) + `": 1}`: strings.Repeat("é", 50) + "...: there is no such field",
	} {
		got := ""
		if err := strictjson.Decode([]byte(text), &document{}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// many returns an object with n members of distinct names.
func many(member string, n int) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, member+",", i)
	}
	return []byte(b.String() + `"name": ""}`)
}

func TestDecode_NamesTenFaultsAtMost(t *testing.T) {
	for _, text := range [][]byte{
		many(`"x%d": 0`, 20_000), many(`"x%d": {"a": [0]}`, 5_000), many(`"`+strings.Repeat("x", 20_000)+`%d": 0`, 40),
		[]byte(`{"list": [` + strings.Repeat(`null,`, 100_000) + `null]}`),
		[]byte(`{"labels": {` + strings.Repeat(`"a": "",`, 100_000) + `"a": ""}}`),
		[]byte(`{"list": [` + strings.Repeat(`{"x": 0},`, 50_000) + `{}]}`),
	} {
		err := strictjson.Decode(text, &document{})
		e, ok := err.(*strictjson.Error)
		if !ok || len(e.Fields) != 10 {
			t.Fatalf("%.40s: got %.200v, want ten faults", text, err)
		}
		if len(e.Error()) > 2000 {
			t.Errorf("%.40s: the error has %d bytes", text, len(e.Error()))
		}
	}
}

func TestDecode_BoundsListsAndObjects(t *testing.T) {
	for text, want := range map[string]string{
		`{"list": [` + strings.Repeat(`{},`, 9_999) + `{}]}`:                                            "",
		`{"list": [` + strings.Repeat(`{},`, 10_000) + `{}]}`:                                           "list: has more than 10000 elements",
		`{"labels": ` + strings.Replace(string(many(`"x%d": ""`, 10_000)), `"name"`, `"last"`, 1) + `}`: "labels: has more than 10000 elements",
		`{"any": [` + strings.Repeat(`{},`, 20_000) + `{}]}`:                                            "",
	} {
		got := ""
		if err := strictjson.Decode([]byte(text), &document{}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40s: got %q, want %q", text, got, want)
		}
	}
}

// TestDecode_TakesMemoryInProportion compares a large object with a small one.
func TestDecode_TakesMemoryInProportion(t *testing.T) {
	for name, object := range map[string]func(n int) []byte{
		"unknown fields": func(n int) []byte { return many(`"x%d": 0`, n) },
		"labels": func(n int) []byte {
			return []byte(`{"labels": ` + strings.Replace(string(many(`"x%d": ""`, n)), `"name"`, `"last"`, 1) + `}`)
		},
		"a list":  func(n int) []byte { return []byte(`{"list": [` + strings.Repeat(`{"text": ""},`, n) + `{}]}`) },
		"nesting": func(n int) []byte { return []byte(`{"any": [` + strings.Repeat(`[{"a": 1}],`, n) + `0]}`) },
	} {
		took := func(n int) uint64 {
			text := object(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = strictjson.Decode(text, &document{})
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		// 32 times the size takes 32 times as long, or 1024 times if it is
		// quadratic.
		if small, large := took(300), took(9_600); large > 100*small+1<<20 {
			t.Errorf("%s: %d bytes for 300, %d for 9,600", name, small, large)
		}
	}
}

// FuzzDecode compares with encoding/json, which accepts whatever Decode
// accepts.
func FuzzDecode(f *testing.F) {
	f.Add(`{"name": "x", "count": 1, "labels": {"a": "b"}, "list": [{"text": "t"}], "any": [{}, "\\\""], "bytes": "eA=="}`)
	f.Add(`{"Name": null, "inner": {"text": 1e3}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var got, want document
		if err := strictjson.Decode([]byte(text), &got); err != nil {
			if e, ok := err.(*strictjson.Error); !ok || len(e.Fields) == 0 || len(e.Fields) > 10 {
				t.Errorf("got %v", err)
			}
			return
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&want); err != nil {
			t.Errorf("%q is taken in spite of %v", text, err)
		}
	})
}
