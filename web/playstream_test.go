package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/run"
)

// streamed is a stream of events being read.
type streamed struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// stream runs a snippet and returns its event stream, which ends with the test.
func (s *testServer) stream(t *testing.T, body string) *streamed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+PlayPath+"/run", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	if kind := a.Header.Get("Content-Type"); a.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("got %d, %s", a.StatusCode, kind)
	}
	lines := bufio.NewScanner(a.Body)
	lines.Buffer(nil, 8<<20)
	return &streamed{t, lines, cancel}
}

// next returns the next event; the name is empty for a comment or the end.
func (s *streamed) next() (name, data string) {
	for s.lines.Scan() {
		switch line := s.lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case strings.HasPrefix(line, ": "):
			data = line
		case line == "":
			return name, data
		}
	}
	return "", ""
}

// until reads events up to the named one, and returns its data.
func (s *streamed) until(name string) string {
	s.t.Helper()
	for {
		got, data := s.next()
		if got == name {
			return data
		}
		if got == "" && data == "" {
			s.t.Fatalf("the stream ended before %s came", name)
		}
	}
}

func TestPlayStream_LogThenResult(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	events := s.stream(t, snippet("import sys\ndef handler(event, context):\n  for i in range(3): print(i)\n  print('no newline', end='', file=sys.stderr)\n  return 5", ""))
	var log, kinds []string
	for {
		name, data := events.next()
		if name == "" && data == "" {
			break
		}
		kinds = append(kinds, name)
		switch name {
		case "log":
			var e playEntry
			if err := json.Unmarshal([]byte(data), &e); err != nil || e.Time.IsZero() {
				t.Errorf("%v in %s", err, data)
			}
			if !e.System {
				log = append(log, e.Message)
			}
		case "result":
			var p played
			if err := json.Unmarshal([]byte(data), &p); err != nil || p.Outcome != "ok" || p.Body != "5" || len(p.Log) != 0 || p.LogTruncated {
				t.Errorf("%v, result: %s", err, data)
			}
		case "":
			kinds = kinds[:len(kinds)-1] // a comment
		}
	}
	if got := strings.Join(log, "|"); got != "0|1|2|no newline" {
		t.Errorf("log: got %s", got)
	}
	if n := len(kinds); n < 5 || kinds[n-1] != "result" || strings.Contains(strings.Join(kinds[:n-1], " "), "result") {
		t.Errorf("events: got %v, want the result once and last", kinds)
	}
}

func TestPlayStream_EntriesComeWhileTheSnippetRuns(t *testing.T) {
	read := make(chan struct{})
	s := startPlay(t, openPlay, triesFunc(
		func(ctx context.Context, _ catalog.VersionSpec, _ run.Invocation, emit func(logs.Entry)) (*run.Result, error) {
			emit(logs.Entry{Message: "first"})
			select {
			case <-read:
				return nil, nil
			case <-ctx.Done():
				return nil, fault.ErrCancelled
			}
		}))
	events := s.stream(t, snippet("", ""))
	if data := events.until("log"); !strings.Contains(data, "first") {
		t.Errorf("got %s", data)
	}
	if name, data := events.next(); name != "" || data != ": ping" {
		t.Errorf("got %s %s, want a ping meanwhile", name, data)
	}
	close(read)
	if data := events.until("result"); !strings.Contains(data, `"outcome":"ok"`) {
		t.Errorf("got %s", data)
	}
}

func TestPlayStream_TellsOfAFaultOfThePlatform(t *testing.T) {
	s := startPlay(t, openPlay, triesFunc(
		func(_ context.Context, _ catalog.VersionSpec, _ run.Invocation, emit func(logs.Entry)) (*run.Result, error) {
			emit(logs.Entry{Message: "first"})
			time.Sleep(10 * time.Millisecond) // the entry is sent by itself, most often
			return nil, errors.New("disk on fire")
		}))
	events := s.stream(t, snippet("", ""))
	data := events.until("fault")
	if !strings.Contains(data, `"errorCode":500`) || strings.Contains(data, "fire") {
		t.Errorf("got %s", data)
	}
}

// A panic must not end the process, as it would on an unguarded goroutine.
func TestPlayStream_SurvivesAPanic(t *testing.T) {
	config := openPlay
	config.Logger = slog.New(slog.DiscardHandler)
	s := startPlay(t, config, triesFunc(
		func(_ context.Context, _ catalog.VersionSpec, _ run.Invocation, _ func(logs.Entry)) (*run.Result, error) {
			panic("odd")
		}))
	a := do(t, "POST", s.url+PlayPath+"/run", snippet("", ""), "Content-Type", "application/json", "Accept", "text/event-stream")
	a.wantStatus(t, http.StatusInternalServerError)
}

// smallHost returns a host with room for one try at a time, with a playground
// on it.
func smallHost(t *testing.T) (*host.Host, *testServer) {
	t.Helper()
	mustRealHost(t) // reports why there is none
	engines, err := realEngines()
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Engines: engines, MaxTries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	config := openPlay
	config.MaxTimeout = time.Minute
	return h, startPlay(t, config, h.Runner())
}

// A snippet whose caller left must free its place, or the next one would have
// to wait.
func TestPlay_ASnippetEndsWithItsCaller(t *testing.T) {
	_, s := smallHost(t)
	const forever = "def handler(event, context):\n  print('begun')\n  while True: pass"
	events := s.stream(t, snippet(forever, `, "timeoutMS": 60000`))
	for !strings.Contains(events.until("log"), "begun") {
	}
	events.cancel()
	if p := s.play(t, snippet("def handler(event, context): return 1", "")); p.Body != "1" {
		t.Errorf("after a stream: got %s", p.text)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+PlayPath+"/run", strings.NewReader(snippet(forever, `, "timeoutMS": 60000`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if p := s.play(t, snippet("def handler(event, context): return 1", "")); p.Body != "1" {
		t.Errorf("after a document: got %s", p.text)
	}
}

func TestPlay_SnippetsShareNothing(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	s.play(t, snippet(`
import builtins, json, os, random, sys
builtins.mark = sys.mark = 1
json.dumps = None
os.environ["MARK"] = "1"
sys.modules["mark"] = json
sys.path.append("/mark")
random.seed(1)
open("/tmp/mark", "w").write("mark")
os.chdir("/tmp")
def handler(event, context): return 1
`, ""))
	p := s.play(t, snippet(`
import builtins, json, os, sys
def handler(event, context):
    return [hasattr(builtins, "mark"), hasattr(sys, "mark"), json.dumps is None, "MARK" in os.environ, "mark" in sys.modules,
            "/mark" in sys.path, os.listdir("/tmp"), os.getcwd()]
`, ""))
	if want := `[false, false, false, false, false, false, [], "/function/code"]`; p.Body != want {
		t.Errorf("got %s, want %s", p.Body, want)
	}
	if one, other := randomNumber(t, s), randomNumber(t, s); one == other {
		t.Errorf("two snippets draw the same random number, %s", one)
	}
}

func randomNumber(t *testing.T, s *testServer) string {
	return s.play(t, snippet("import random\ndef handler(event, context): return [random.random(), str(__import__('uuid').uuid4())]", "")).Body
}

// Many snippets at once, with every kind of ending, must leave nothing behind.
func TestPlay_LeavesNothingBehind(t *testing.T) {
	mustRealHost(t)
	engines, err := realEngines()
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	before := runtime.NumGoroutine()
	h, err := host.New(host.Config{Engines: engines, MaxTries: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := startPlay(t, openPlay, h.Runner())
	bodies := []string{
		snippet("def handler(event, context): return [0] * 1000000", ""),
		snippet("def handler(event, context): 1/0", ""),
		snippet("def handler(event, context):\n while True: pass", `, "timeoutMS": 50`),
		snippet("def handler(event, context):\n for i in range(10000): print('x' * 100)", ""),
		snippet("import os\nos._exit(1)", ""),
		snippet("def handler(event, context):\n a = []\n while True: a.append(bytearray(1 << 20))", ""),
		snippet("def handler(event, context):\n with open('/tmp/f', 'wb') as f:\n  while True: f.write(bytes(1 << 20))", ""),
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range bodies {
				body := bodies[(worker+i)%len(bodies)]
				if worker == 3 { // a caller who leaves at some point
					s.stream(t, body).cancel()
					continue
				}
				if p := s.play(t, body); p.Outcome == "" {
					t.Errorf("got %.300s", p.text)
				}
			}
		})
	}
	group.Wait()
	s.stop()
	<-s.done
	h.Close()
	if memory := h.Stats().Memory; memory != 0 {
		t.Errorf("%d bytes are still accounted for", memory)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
