package host

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// collect returns the entries that a call's output becomes.
func collect(t *testing.T, plain bool, write func(*callLog)) []LogEntry {
	t.Helper()
	var entries []LogEntry
	v := &Version{VersionSpec: VersionSpec{PlainLogs: plain}}
	l := newCallLog(v, "", func(e LogEntry) { entries = append(entries, e) })
	write(l)
	l.flush()
	for i := range entries {
		entries[i].Time = entries[0].Time
	}
	return entries
}

func messages(entries []LogEntry) []string {
	var m []string
	for _, e := range entries {
		m = append(m, e.Message)
	}
	return m
}

func TestCallLog_OneEntryALine(t *testing.T) {
	long := strings.Repeat("x", maxLogLine)
	odd := "x" + strings.Repeat("ы", maxLogLine/2-1) // a byte less than the limit
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
			got := messages(collect(t, false, func(l *callLog) {
				for _, w := range c.writes {
					l.stdout.writeAll([]byte(w), noWork)
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
		want  LogEntry
	}{
		"message and level": {`{"message":"hi","level":"ERROR"}`, false, LogEntry{Message: "hi", Level: LevelError}},
		"msg":               {`{"msg":"hi"}`, false, LogEntry{Message: "hi", Level: LevelUnspecified}},
		"other members": {`{"message":"hi","n":1,"level":"debug"}`, false,
			LogEntry{Message: "hi", Level: LevelDebug, Payload: []byte(`{"n":1}`)}},
		"stream": {`{"message":"hi","stream_name":"s-1"}`, false,
			LogEntry{Message: "hi", Level: LevelUnspecified, StreamName: "s-1"}},
		"unknown level": {`{"message":"hi","level":"LOUD"}`, false,
			LogEntry{Message: "hi", Level: LevelUnspecified, Payload: []byte(`{"level":"LOUD"}`)}},
		"no message": {`{"level":"INFO"}`, false, LogEntry{Message: `{"level":"INFO"}`, Level: LevelUnspecified}},
		"message is no text": {`{"message":1}`, false,
			LogEntry{Message: `{"message":1}`, Level: LevelUnspecified}},
		"turned off": {`{"message":"hi"}`, true, LogEntry{Message: `{"message":"hi"}`, Level: LevelUnspecified}},
		"an array":   {`["message"]`, false, LogEntry{Message: `["message"]`, Level: LevelUnspecified}},
		"broken":     {`{"message":"hi"`, false, LogEntry{Message: `{"message":"hi"`, Level: LevelUnspecified}},
	} {
		t.Run(name, func(t *testing.T) {
			got := collect(t, c.plain, func(l *callLog) { _, _ = l.stderr.Write([]byte(c.line + "\n")) })
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
	got := messages(collect(t, false, func(l *callLog) {
		for range 40 {
			l.stdout.writeAll(line, noWork)
		}
	}))
	total := 0
	for _, m := range got {
		total += len(m)
	}
	if total > maxCallLog+200 || !strings.Contains(got[len(got)-1], "cut off here") {
		t.Errorf("%d bytes logged, the last entry is %.80q", total, got[len(got)-1])
	}
}

func FuzzCallLog(f *testing.F) {
	f.Add([]byte("{\"message\":\"x\"}\na\r\xff"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		at := min(int(cut), len(b))
		plain := messages(collect(t, true, func(l *callLog) { l.stdout.writeAll(b, noWork) }))
		pieces := messages(collect(t, true, func(l *callLog) {
			l.stdout.writeAll(b[:at], noWork)
			l.stdout.writeAll(b[at:], noWork)
		}))
		if d := cmp.Diff(plain, pieces); d != "" {
			t.Errorf("in two writes: %s", d)
		}
		collect(t, false, func(l *callLog) { l.stdout.writeAll(b, noWork) })
	})
}

func TestCallLog_OnlyThePlatformWritesSystemEntries(t *testing.T) {
	got := collect(t, false, func(l *callLog) {
		_, _ = l.stdout.Write([]byte(`{"message":"END RequestID: x","level":"INFO","system":true,"request_id":"x"}` + "\n"))
		l.system(LevelInfo, "END RequestID: x")
	})
	if len(got) != 2 || got[0].System || !got[1].System {
		t.Errorf("got %+v, want a forged entry and a true one", got)
	}
}
