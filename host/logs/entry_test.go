package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vivarium/host/paced"
)

// collect returns the entries that a call's output becomes.
func collect(t *testing.T, plain bool, write func(*Call)) []Entry {
	t.Helper()
	var entries []Entry
	l := NewCall(Source{Plain: plain}, func(e Entry) { entries = append(entries, e) })
	write(l)
	l.Flush()
	for i := range entries {
		entries[i].Time = entries[0].Time
	}
	return entries
}

// free is the Work for no one's turn.
func free(int) {}

func messages(entries []Entry) []string {
	var m []string
	for _, e := range entries {
		m = append(m, e.Message)
	}
	return m
}

func TestCallLog_OneEntryALine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	odd := "x" + strings.Repeat("ы", maxLine/2-1) // one byte below the limit
	for name, c := range map[string]struct {
		writes []string
		want   []string
	}{
		"lines":                    {[]string{"a\nb\n"}, []string{"a", "b"}},
		"a line in pieces":         {[]string{"a", "b", "c\nd"}, []string{"abc", "d"}},
		"no newline at the end":    {[]string{"a\nb"}, []string{"a", "b"}},
		"empty lines":              {[]string{"\n\na\n"}, []string{"", "", "a"}},
		"carriage return":          {[]string{"a\rb\n", "c\r\n"}, []string{"a\nb", "c"}},
		"not UTF-8":                {[]string{"a\xffb\n"}, []string{"a\ufffdb"}},
		"a line of the limit":      {[]string{long + "\n", "a\n"}, []string{long, "a"}},
		"the limit, then newline":  {[]string{long, "\n", "a\n"}, []string{long, "a"}},
		"one byte over the limit":  {[]string{long + "y\n"}, []string{long, "y"}},
		"three limits in one":      {[]string{long + long + long}, []string{long, long, long}},
		"a rune across two writes": {[]string{"\xc3", "\xa4\n"}, []string{"ä"}},
		"a rune across the limit":  {[]string{odd + "ыы", "ы\nb\n"}, []string{odd, "ыыы", "b"}},
		"a part of a rune at it":   {[]string{odd + "\xd1", "\nb\n"}, []string{odd, "\ufffd", "b"}},
		"no runes at it":           {[]string{odd + "\x80\x80\n"}, []string{odd + "\ufffd", "\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := messages(collect(t, false, func(l *Call) {
				for _, w := range c.writes {
					l.stdout.writeAll([]byte(w), free)
				}
			}))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCallLog_StructuredLines(t *testing.T) {
	for name, c := range map[string]struct {
		line  string
		plain bool
		want  Entry
	}{
		"message and level": {`{"message":"hi","level":"ERROR"}`, false, Entry{Message: "hi", Level: LevelError}},
		"msg":               {`{"msg":"hi"}`, false, Entry{Message: "hi", Level: LevelUnspecified}},
		"other members": {`{"message":"hi","n":1,"level":"debug"}`, false,
			Entry{Message: "hi", Level: LevelDebug, Payload: []byte(`{"n":1}`)}},
		"stream": {`{"message":"hi","stream_name":"s-1"}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, StreamName: "s-1"}},
		"unknown level": {`{"message":"hi","level":"LOUD"}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"level":"LOUD"}`)}},
		"no message": {`{"level":"INFO"}`, false, Entry{Message: `{"level":"INFO"}`, Level: LevelUnspecified}},
		"message is no text": {`{"message":1}`, false,
			Entry{Message: `{"message":1}`, Level: LevelUnspecified}},
		"turned off": {`{"message":"hi"}`, true, Entry{Message: `{"message":"hi"}`, Level: LevelUnspecified}},
		"an array":   {`["message"]`, false, Entry{Message: `["message"]`, Level: LevelUnspecified}},
		"broken":     {`{"message":"hi"`, false, Entry{Message: `{"message":"hi"`, Level: LevelUnspecified}},
		"two objects": {`{"message":"a"} {"message":"b"}`, false,
			Entry{Message: `{"message":"a"} {"message":"b"}`, Level: LevelUnspecified}},
		"spaces around":   {" \t{\"message\":\"hi\"} \r", false, Entry{Message: "hi", Level: LevelUnspecified}},
		"an empty one":    {`{"message":""}`, false, Entry{Level: LevelUnspecified}},
		"line breaks":     {`{"message":"a\r\nb\rc"}`, false, Entry{Message: "a\nb\nc", Level: LevelUnspecified}},
		"braces alone":    {`{}`, false, Entry{Message: `{}`, Level: LevelUnspecified}},
		"a brace":         {`{`, false, Entry{Message: `{`, Level: LevelUnspecified}},
		"null for a text": {`{"message":null}`, false, Entry{Level: LevelUnspecified}},
		"message before msg": {`{"msg":"b","message":"a"}`, false,
			Entry{Message: "a", Level: LevelUnspecified, Payload: []byte(`{"msg":"b"}`)}},
		"msg if message is no text": {`{"msg":"b","message":[]}`, false,
			Entry{Message: "b", Level: LevelUnspecified, Payload: []byte(`{"message":[]}`)}},
		"a level that is no text": {`{"message":"hi","level":3}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"level":3}`)}},
		"a stream's name is bounded": {`{"message":"hi","stream_name":"` + strings.Repeat("s", 64) + `"}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"stream_name":"` + strings.Repeat("s", 64) + `"}`)}},
		"the longest name of a stream": {`{"message":"hi","stream_name":"` + strings.Repeat("s", 63) + `"}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, StreamName: strings.Repeat("s", 63)}},
		"a stream's name begins with a letter": {`{"message":"hi","stream_name":"-s"}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"stream_name":"-s"}`)}},
		"nested members stay as they are": {`{"message":"hi","a":{"message":"x"},"f":1.50}`, false,
			Entry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"a":{"message":"x"},"f":1.50}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := collect(t, c.plain, func(l *Call) { _, _ = l.stderr.Write([]byte(c.line + "\n")) })
			if len(got) != 1 {
				t.Fatalf("%d entries", len(got))
			}
			c.want.Time = got[0].Time
			if d := cmp.Diff(c.want, got[0]); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCallLog_IsCutOffWithAWord(t *testing.T) {
	line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	got := messages(collect(t, false, func(l *Call) {
		for range 40 {
			l.stdout.writeAll(line, free)
		}
	}))
	total := 0
	for _, m := range got {
		total += len(m)
	}
	if total > maxCall+200 || !strings.Contains(got[len(got)-1], "cut off here") {
		t.Errorf("%d bytes logged, the last entry is %.80q", total, got[len(got)-1])
	}
}

func FuzzCallLog(f *testing.F) {
	f.Add([]byte("{\"message\":\"x\"}\na\r\xff"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		at := min(int(cut), len(b))
		plain := messages(collect(t, true, func(l *Call) { l.stdout.writeAll(b, free) }))
		pieces := messages(collect(t, true, func(l *Call) {
			l.stdout.writeAll(b[:at], free)
			l.stdout.writeAll(b[at:], free)
		}))
		if d := cmp.Diff(plain, pieces); d != "" {
			t.Errorf("in two writes: %s", d)
		}
		collect(t, false, func(l *Call) { l.stdout.writeAll(b, free) })
	})
}

func TestCallLog_OnlyThePlatformWritesSystemEntries(t *testing.T) {
	got := collect(t, false, func(l *Call) {
		_, _ = l.stdout.Write([]byte(`{"message":"END RequestID: x","level":"INFO","system":true,"request_id":"x"}` + "\n"))
		l.System(LevelInfo, "END RequestID: x")
	})
	if len(got) != 2 || got[0].System || !got[1].System {
		t.Errorf("got %+v, want a forged entry and a true one", got)
	}
}

func TestCallLog_DropsWhatIsBelowTheMinimumLevel(t *testing.T) {
	for least, want := range map[Level]string{
		"":         "TRACE DEBUG INFO WARN ERROR FATAL UNSPECIFIED",
		LevelTrace: "TRACE DEBUG INFO WARN ERROR FATAL UNSPECIFIED",
		LevelWarn:  "WARN ERROR FATAL UNSPECIFIED",
		LevelFatal: "FATAL UNSPECIFIED",
	} {
		var got []string
		l := NewCall(Source{MinLevel: least}, func(e Entry) { got = append(got, string(e.Level)) })
		for _, level := range Levels {
			l.System(level, "x")
		}
		_, _ = l.stdout.Write([]byte("x\n"))
		if strings.Join(got, " ") != want {
			t.Errorf("at least %q: got %q, want %q", least, got, want)
		}
	}
}

// The guest yields between the lines of a long write, and what is dropped is
// not inspected.
func TestCallLog_TakesAFewLinesAtATime(t *testing.T) {
	entries := 0
	l := NewCall(Source{}, func(Entry) { entries++ })
	rest := []byte(strings.Repeat("\n", 200_000))
	writes, most := 0, 0
	for len(rest) > 0 {
		before := entries
		n, err := l.stdout.Write(rest)
		rest = rest[n:]
		writes, most = writes+1, max(most, entries-before)
		if errors.Is(err, io.ErrShortWrite) != (len(rest) > 0) {
			t.Fatalf("got %v with %d bytes left", err, len(rest))
		}
	}
	if want := maxCall/entryBytes + 1; entries != want || most > 100 {
		t.Errorf("got %d entries, %d at most in a write, want %d", entries, most, want)
	}
}

func TestLogWindow_KeepsTheNewestWithinItsBounds(t *testing.T) {
	full := errors.New("full")
	for name, test := range map[string]struct {
		limit, entries, bytes, room int
		kept                        int
		cut                         bool
		err                         error
	}{
		"few":               {10, 5, 100, 1 << 30, 5, false, nil},
		"more than asked":   {10, 1000, 100, 1 << 30, 10, false, nil},
		"large ones":        {1000, 500, 64 << 10, 1 << 30, MaxBytes / (64<<10 + 2*entryBytes), true, nil},
		"one of many bytes": {1000, 3, MaxBytes - 2*entryBytes, 1 << 30, 1, true, nil},
		"no room":           {1000, 500, 64 << 10, 1 << 20, 0, false, full},
	} {
		w := window{limit: test.limit, reserve: func(n int) error {
			if test.room -= n; test.room < 0 {
				return full
			}
			return nil
		}}
		var err error
		for n := 0; n < test.entries && err == nil; n++ {
			err = w.add(Entry{RequestID: fmt.Sprint(n), Message: strings.Repeat("x", test.bytes)})
		}
		if err != test.err {
			t.Errorf("%s: got %v, want %v", name, err, test.err)
		}
		if err != nil {
			continue
		}
		kept := w.entries[w.first:]
		if len(kept) != test.kept || w.cut != test.cut {
			t.Errorf("%s: %d kept, cut: %v, want %d, %v", name, len(kept), w.cut, test.kept, test.cut)
		}
		if last := kept[len(kept)-1].RequestID; last != fmt.Sprint(test.entries-1) {
			t.Errorf("%s: the last one is %s", name, last)
		}
		if w.bytes > w.taken || w.taken > w.bytes+MaxBytes {
			t.Errorf("%s: %d bytes are held, %d counted", name, w.bytes, w.taken)
		}
	}
}

// Both streams go into one log, each with its own unfinished line; what the platform says
// of a call is neither part of a line nor cut off with the rest.
func TestCallLog_StreamsAreApart(t *testing.T) {
	got := messages(collect(t, false, func(l *Call) {
		for _, w := range []struct {
			to   io.Writer
			text string
		}{
			{l.Stdout(), "out"}, {l.Stderr(), "err"}, {l.Stdout(), "put\nmore"}, {l.Stderr(), "or\n"},
		} {
			if n, err := io.WriteString(w.to, w.text); n != len(w.text) || err != nil {
				t.Errorf("%q: %d, %v", w.text, n, err)
			}
		}
		l.System(LevelInfo, "said")
	}))
	if want := []string{"output", "error", "said", "more"}; cmp.Diff(want, got) != "" {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Output that is known as a whole is written in pieces that each are paid for.
func TestCallLog_WriteAll(t *testing.T) {
	worked := 0
	stdout := bytes.Repeat([]byte("a line\n"), 10_000)
	got := messages(collect(t, false, func(l *Call) {
		l.WriteAll(append(stdout, "the end"...), []byte("an error"), func(n int) { worked += n })
		l.System(LevelInfo, "after it")
	}))
	if n := len(got); n != 10_003 || got[n-3] != "the end" || got[n-2] != "an error" || got[n-1] != "after it" {
		t.Errorf("%d entries, the last are %q", n, got[max(0, n-3):])
	}
	if least := len(stdout) * paced.PerJSONByte; worked < least {
		t.Errorf("counted as %d of work, want at least %d", worked, least)
	}
}

// A line can take as long as thousands of others; whoever pays for it is asked in between.
func TestCallLog_LongLinesAreTakenApartBitByBit(t *testing.T) {
	const members = 3000
	line := `{"message":"m"`
	for n := range members {
		line += fmt.Sprintf(`,"k%d":%d`, n, n)
	}
	reports, most := 0, 0
	collect(t, false, func(l *Call) {
		n, err := l.stdout.WriteWork([]byte(line+"}\n"), func(n int) { reports, most = reports+1, max(most, n) })
		if n != len(line)+2 || err != nil {
			t.Errorf("%d of %d bytes, %v", n, len(line)+2, err)
		}
	})
	if reports < 10*members || most > 2*len(line)*paced.PerJSONByte {
		t.Errorf("%d reports of work, the largest of %d", reports, most)
	}
}

// The platform's entries carry what a query looks for, and come also after the function's
// were cut off.
func TestCallLog_SystemEntriesTellTheCall(t *testing.T) {
	var got []Entry
	l := NewCall(Source{FunctionID: "f", VersionID: "v", RequestID: `r"`}, func(e Entry) { got = append(got, e) })
	l.WriteAll(bytes.Repeat([]byte("\n"), maxCall/entryBytes+5), nil, free)
	cut := len(got)
	l.System(LevelError, "REPORT")
	_, _ = io.WriteString(l.Stderr(), "no more\n")
	l.Flush()
	if len(got) != cut+1 || !strings.Contains(got[cut-1].Message, "cut off here") {
		t.Fatalf("%d entries, %d when cut off", len(got), cut)
	}
	for _, e := range got {
		if e.FunctionID != "f" || e.VersionID != "v" || e.RequestID != `r"` || e.Time.IsZero() {
			t.Fatalf("got %+v", e)
		}
	}
	e := got[cut]
	if e.Level != LevelError || !e.System || string(e.Payload) != `{"request_id":"r\"","version_id":"v"}` {
		t.Errorf("got %+v, %s", e, e.Payload)
	}
}
