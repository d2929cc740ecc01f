package api_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"vivarium/host"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/webtest"
)

// server is a server with a host of its own, without a store.
type server struct {
	t    *testing.T
	url  string
	host *host.Host
	stop context.CancelFunc
}

func startServer(t *testing.T) *server { return startServerWith(t, func(*web.Config, *host.Host) {}) }

// startServerWith is startServer for one that is configured in a way of its own.
func startServerWith(t *testing.T, configure func(*web.Config, *host.Host)) *server {
	t.Helper()
	h := webtest.Host(t, host.Config{})
	quiet := slog.New(slog.DiscardHandler)
	management := api.New(api.Config{Host: h, Logger: quiet})
	config := web.Config{Management: management, OnDrain: management.EndStreams, Logger: quiet}
	configure(&config, h)
	port, stop := webtest.Serve(t, config, h)
	return &server{t, fmt.Sprint("http://127.0.0.1:", port), h, stop}
}

// document is a decoded JSON object.
type document map[string]any

// at returns what lies at a path such as "response.id".
func (d document) at(path string) any {
	var v any = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (d document) text(path string) string {
	s, _ := d.at(path).(string)
	return s
}

// send sends a request to the API and returns status and answer.
func (s *server) send(method, path, body string) (int, document) {
	s.t.Helper()
	status, text := s.raw(method, api.BasePath+path, body)
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		s.t.Fatalf("%s %s: status %d: %v in %.500s", method, path, status, err, text)
	}
	return status, d
}

func (s *server) raw(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return s.do(r)
}

func (s *server) do(r *http.Request) (int, string) {
	s.t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// must is send for what has to work.
func (s *server) must(method, path, body string) document {
	s.t.Helper()
	status, d := s.send(method, path, body)
	if status != http.StatusOK {
		s.t.Fatalf("%s %s: status %d: %v", method, path, status, d)
	}
	return d
}

// code returns an archive with a main.py, base64.
func code(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("main.py")
	if err == nil {
		_, err = io.WriteString(f, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// answering is code whose handler answers with a text.
func answering(t *testing.T, text string) string {
	return code(t, "def handler(event, context):\n    return {'body': '"+text+"'}\n")
}

// deploy makes a version and returns its id.
func (s *server) deploy(function, content, more string) string {
	s.t.Helper()
	op := s.must("POST", "/versions", `{"functionId": "`+function+`", "runtime": "python312", "entrypoint": "main.handler",
		"executionTimeout": "60s", "content": "`+content+`"`+more+`}`)
	return op.text("response.id")
}
