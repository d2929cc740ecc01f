package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
)

// TestHTTPAttacks sends malicious bytes: requests that two readers would
// understand differently, floods, and requests that never end. Each file in
// testdata/attacks/http_smuggling is one attack: the promise, what is sent, and
// the statuses of all responses, in order.
//
// The bytes of a file are sent as is, except for line ends, which become CR LF,
// and these: \xNN is a byte, \n is a lone LF, {TEXT*COUNT} repeats TEXT,
// {pause} waits a while. A want of "closed" means that the server then closes
// the connection; "403 x" that the response's body contains x.
//
// Only expected calls may reach a function, and another caller must be served
// all the time. Everything is done twice: with a stand-in for the host, and
// with the real one, whose function reports what Python received.
func TestHTTPAttacks(t *testing.T) {
	t.Run("stand-in", func(t *testing.T) { runHTTPAttacks(t, echoes()) })
	t.Run("host", func(t *testing.T) {
		h := deploy(t, "hello", catalog.VersionSpec{Timeout: time.Minute, Entrypoint: "main.handler"}, []txtar.File{
			{Name: "main.py", Data: []byte(echoSource)},
		})
		defer func() { _ = h.Catalog().Retire(context.Background(), access.Operator, "hello") }()
		if _, err := h.Invoke(t.Context(), access.Operator, run.Invocation{Function: "hello", Raw: true,
			Received: time.Now(), Body: []byte("warm")}); err != nil {
			t.Fatal(err)
		}
		runHTTPAttacks(t, h)
	})
}

// echoSource responds like echoes.
const echoSource = `
import json
def handler(event, context):
    if isinstance(event, dict) and "httpMethod" in event:
        return {"body": json.dumps(event)}
    return event if isinstance(event, bytes) else str(event).encode()
`

func runHTTPAttacks(t *testing.T, functions Functions) {
	files, err := filepath.Glob("testdata/attacks/http_smuggling/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no attacks: %v", err)
	}
	before := runtime.NumGoroutine()
	r := &recorder{Functions: functions}
	s := start(t, Config{TransferTimeout: 500 * time.Millisecond}, r)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := readHTTPAttack(file)
			if err != nil {
				t.Fatal(err)
			}
			r.reset()
			a.run(t, s)
			if got := r.calls(); got != a.calls {
				t.Errorf("%s: %d calls reached a function, want %d", a.promise, got, a.calls)
			}
			honest := do(t, "POST", s.url+"/hello?integration=raw", "honest")
			if honest.StatusCode != http.StatusOK || honest.text != "honest" {
				t.Errorf("another caller: got %d %s", honest.StatusCode, honest.text)
			}
		})
	}
	if log := s.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the server's log: got %s, want no fault of ours", log)
	}
	s.stop()
	<-s.done
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left, %d were there before", runtime.NumGoroutine(), before)
		}
	}
}

// recorder counts the calls that reach functions.
type recorder struct {
	Functions
	mu   sync.Mutex // guards made
	made int
}

func (r *recorder) reset() { r.mu.Lock(); r.made = 0; r.mu.Unlock() }

func (r *recorder) calls() int { r.mu.Lock(); defer r.mu.Unlock(); return r.made }

// Invoke implements Functions.
func (r *recorder) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	r.mu.Lock()
	r.made++
	r.mu.Unlock()
	return r.Functions.Invoke(ctx, p, inv)
}

// httpAttack is one attack.
type httpAttack struct {
	promise string
	pieces  [][]byte // what is sent, with a pause between
	times   int      // number of concurrent connections
	wants   []string // of each connection
	calls   int
}

func readHTTPAttack(path string) (*httpAttack, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	a := &httpAttack{promise: strings.TrimSpace(string(archive.Comment)), times: 1}
	for _, f := range archive.Files {
		switch name, value, _ := strings.Cut(f.Name, " "); name {
		case "send":
			for piece := range strings.SplitSeq(string(f.Data), "{pause}") {
				a.pieces = append(a.pieces, sendable(piece))
			}
			if value != "" {
				if a.times, err = strconv.Atoi(value); err != nil {
					return nil, err
				}
			}
		case "want":
			a.wants = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
			if a.calls, err = strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("want N: the calls that reach a function: %w", err)
			}
		default:
			return nil, fmt.Errorf("no such section: %s", name)
		}
	}
	if a.promise == "" || a.wants == nil {
		return nil, errors.New("names no promise, or wants nothing")
	}
	return a, nil
}

var repetition = regexp.MustCompile(`\{([^{}]*)\*(\d+)\}`)

// sendable returns the bytes that a text denotes.
func sendable(text string) []byte {
	text = strings.ReplaceAll(text, "\n", "\r\n")
	text = repetition.ReplaceAllStringFunc(text, func(s string) string {
		parts := repetition.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[2]) // only digits
		return strings.Repeat(parts[1], n)
	})
	var b []byte
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, `\x`) && len(text) >= 4:
			n, err := strconv.ParseUint(text[2:4], 16, 8)
			if err != nil {
				n = '?'
			}
			b, text = append(b, byte(n)), text[4:]
		case strings.HasPrefix(text, `\n`):
			b, text = append(b, '\n'), text[2:]
		case strings.HasPrefix(text, `\-`): // removes the line end
			b, text = bytes.TrimSuffix(b, []byte("\r\n")), strings.TrimPrefix(text[2:], "\r\n")
		default:
			b, text = append(b, text[0]), text[1:]
		}
	}
	return b
}

// run makes the attack and checks the responses.
func (a *httpAttack) run(t *testing.T, s *testServer) {
	var all sync.WaitGroup
	for range a.times {
		all.Go(func() {
			connection, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = connection.Close() }()
			_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
			go func() { // the server may respond, and stop reading, before everything is sent
				for n, piece := range a.pieces {
					if n > 0 {
						time.Sleep(100 * time.Millisecond)
					}
					_, _ = connection.Write(piece)
				}
			}()
			got := readAnswers(connection, len(a.wants))
			for n, want := range a.wants {
				status, part, _ := strings.Cut(want, " ")
				if n >= len(got) || !strings.HasPrefix(got[n], status) || !strings.Contains(got[n], part) {
					t.Errorf("%s: answers: got %.500q, want %q", a.promise, got, a.wants)
					return
				}
			}
		})
	}
	all.Wait()
}

// readAnswers reads count responses: "STATUS BODY" each, or "closed".
func readAnswers(connection net.Conn, count int) []string {
	var got []string
	reader := bufio.NewReader(connection)
	for len(got) < count {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				return append(got, "nothing")
			}
			return append(got, "closed")
		}
		text, _ := io.ReadAll(response.Body)
		got = append(got, fmt.Sprintf("%d %s", response.StatusCode, text))
	}
	return got
}
