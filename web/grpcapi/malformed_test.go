package grpcapi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"
)

// frame returns a message as it is sent: flags and length before it.
func frame(flags byte, length int, message []byte) []byte {
	head := make([]byte, 5, 5+len(message))
	head[0] = flags
	binary.BigEndian.PutUint32(head[1:], uint32(length))
	return append(head, message...)
}

// post sends what a client of gRPC would not, and returns the HTTP status and that of gRPC.
func (s *server) post(path string, header map[string]string, body io.Reader) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://"+s.address+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	r.Header.Set("Authorization", "Bearer "+s.key)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	transport := &http.Transport{TLSClientConfig: s.trust(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	if code := answer.Header.Get("Grpc-Status"); code != "" {
		return answer.StatusCode, code
	}
	return answer.StatusCode, answer.Trailer.Get("Grpc-Status")
}

// Whatever is sent is answered with a status that blames the sender, and the server goes
// on.
func TestMalformedRequests(t *testing.T) {
	s := startServer(t)
	good, err := proto.Marshal(&functions.ListFunctionsRequest{FolderId: "default"})
	if err != nil {
		t.Fatal(err)
	}
	const list = functionService + "List"
	for what, c := range map[string]struct {
		header map[string]string
		body   []byte
		http   int
		status string
	}{
		"what is right":             {nil, frame(0, len(good), good), 200, "0"},
		"no message":                {nil, nil, 200, "13"},
		"half a head":               {nil, frame(0, 5, nil)[:3], 200, "13"},
		"half a message":            {nil, frame(0, len(good)+1, good), 200, "13"},
		"4 GiB to come":             {nil, frame(0, -1, good), 200, "8"},
		"two messages":              {nil, append(frame(0, len(good), good), frame(0, len(good), good)...), 200, "13"},
		"compressed by nothing":     {nil, frame(1, len(good), good), 200, "13"},
		"compressed by gzip":        {map[string]string{"Grpc-Encoding": "gzip"}, frame(1, len(good), good), 200, "12"},
		"no message of the service": {nil, frame(0, 3, []byte{0xff, 0xff, 0xff}), 200, "13"},
		"an unknown field":          {nil, frame(0, 3, []byte{0x7a, 1, 'x'}), 200, "0"},
		"no UTF-8":                  {nil, frame(0, 3, []byte{0x0a, 1, 0xff}), 200, "13"},
		"another encoding":          {map[string]string{"Content-Type": "application/grpc+json"}, frame(0, 2, []byte("{}")), 200, "13"},
		"a patience that is none":   {map[string]string{"Grpc-Timeout": "soon"}, frame(0, len(good), good), 400, ""},
		"no patience at all":        {map[string]string{"Grpc-Timeout": "0n"}, frame(0, len(good), good), 200, "4"},
		"a page's":                  {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, frame(0, len(good), good), 200, "7"},
		"not gRPC":                  {map[string]string{"Content-Type": "application/json"}, good, 400, ""},
	} {
		if code, got := s.post(list, c.header, bytes.NewReader(c.body)); code != c.http || got != c.status {
			t.Errorf("%s: got %d with the status %q, want %d with %q", what, code, got, c.http, c.status)
		}
	}
	if code, status := s.post(list, nil, bytes.NewReader(frame(0, len(good), good))); code != 200 || status != "0" {
		t.Errorf("afterwards: %d, %q", code, status)
	}
}

// A body that never ends is left when it is larger than a request may be, not when its
// sender has enough.
func TestEndlessRequests_AreLeft(t *testing.T) {
	s := startServer(t)
	endless := io.MultiReader(bytes.NewReader(frame(0, 100, nil)), strings.NewReader(strings.Repeat("x", 1<<20)), &slow{})
	if code, status := s.post(functionService+"List", nil, endless); code != 200 || status != "8" {
		t.Errorf("got %d, %q", code, status)
	}
}

// slow is a body that goes on for a minute.
type slow struct{ reads int }

func (r *slow) Read(b []byte) (int, error) {
	if r.reads++; r.reads > 600 {
		return 0, io.EOF
	}
	time.Sleep(100 * time.Millisecond)
	return copy(b, "x"), nil
}

// Without TLS, too, a connection ends whose pings are many and whose answers nobody reads:
// grpc's own bound on pings is not in force where net/http has the connection.
func TestPings_AreBoundedWithoutTLS(t *testing.T) {
	s := startPlain(t)
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = framer.WritePing(false, [8]byte{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection goes on for a minute")
	}
}
