package logs

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vivarium/host/quota"
	"vivarium/host/store"
)

// byMap is what structured does, with a map of the library's.
func byMap(e *Entry, line []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return false
	}
	text := func(name string, to *string) bool {
		raw, ok := members[name]
		return ok && json.Unmarshal(raw, to) == nil
	}
	take := func(name string, to *string) bool {
		ok := text(name, to)
		if ok {
			delete(members, name)
		}
		return ok
	}
	if !take("message", &e.Message) && !take("msg", &e.Message) {
		return false
	}
	e.Message = breakLines(e.Message)
	var level, stream string
	if text("level", &level) && isLevel(level) {
		e.Level = Level(strings.ToUpper(level))
		delete(members, "level")
	}
	if text("stream_name", &stream) && streamName.MatchString(stream) {
		e.StreamName = stream
		delete(members, "stream_name")
	}
	if len(members) > 0 {
		e.Payload, _ = json.Marshal(members)
	}
	return true
}

// A line is taken apart as the library would.
func FuzzStructured(f *testing.F) {
	for _, line := range []string{
		`{"message":"","a":1}`,
		`{ "b" : [ 1 , {"c":"]}\"\\"} ] ,"message"	:"x" , "a":-1.5e3 , "t":true, "n":null}`,
		`{"a":1,"message":"x","a":{"b":2},"a":3,"level":null}`,
		`{"\u006dessage":"x\ud800y\\","\"<&>":"<&>\u2028","ы":"` + "\u2028\xff" + `","\u0000":0,"":1}`,
		`{"message":1,"msg":null,"level":"ınfo","stream_name":"a\u002e"}`,
		`{"message":"x","message":[]}`,
		`{"msg":"x","level":"warn","stream_name":null,"x` + "\x7f\xfe" + `":""}`,
		"{\"a\":" + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `,"message":"x"}`,
		`{"message":"x",}`, `{"message"}`, `{}`, `{ }`, `[{}]`, `{"a":1}{}`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "{") {
			return
		}
		var want, got Entry
		is := byMap(&want, []byte(line))
		text := []byte(line)
		if got.structured(text, atOnce) != is {
			t.Fatalf("%q: %v, want %v", line, !is, is)
		}
		clear(text) // the guest's memory
		if d := cmp.Diff(want, got); is && d != "" {
			t.Errorf("%q: %s", line, d)
		}
		kept, ok := encoders.Get().(*encoder).line(got)
		if by, err := json.Marshal(got); is && (err != nil || !ok || string(kept) != string(by)+"\n") {
			t.Errorf("%q: kept as %s, want %s, %v", line, kept, by, err)
		}
	})
}

// BenchmarkCallLog is what lines cost their function.
func BenchmarkCallLog(b *testing.B) {
	for name, line := range map[string]string{
		"text":    "some words that a function prints\n",
		"logging": "[INFO]\t2026-01-02T03:04:05.678Z\t\tsome words\n",
		"large":   `{"message":"m"` + strings.Repeat(`,"a":1,"b":2`, 2000) + "}\n",
		"object":  `{"message":"some words","level":"INFO","n":1,"of":["a","b"]}` + "\n",
	} {
		b.Run(name, func(b *testing.B) {
			l := NewCall(Source{RequestID: "r", FunctionID: "f", VersionID: "v"}, func(Entry) {})
			b.ReportAllocs()
			for b.Loop() {
				l.written = 0
				_, _ = io.WriteString(l.Stdout(), line)
			}
		})
	}
}

// BenchmarkBook is what keeping entries costs.
func BenchmarkBook(b *testing.B) {
	for name, transient := range map[string]bool{"stored": false, "transient": true} {
		b.Run(name, func(b *testing.B) {
			s := store.Memory(store.Config{})
			defer s.Close()
			book := New(Config{Store: s, Ledger: quota.New(quota.Config{}), Log: slog.New(slog.DiscardHandler)})
			defer book.Close()
			e := Entry{Time: time.Now(), RequestID: "r", FunctionID: "f", VersionID: "v", Level: LevelInfo, Message: "some words", Payload: []byte(`{"n":1}`)}
			b.ReportAllocs()
			for b.Loop() {
				book.Add(Owner{Tenant: "t", Function: "f", Transient: transient}, e)
			}
		})
	}
}
