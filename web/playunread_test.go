package web

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/roomtest"
	"vivarium/host/run"
)

// unreading is a client that lets the server send 64 KiB of an answer that it does not
// read.
type unreading struct {
	t         *testing.T
	url       string
	transport *http.Transport
}

// startUnread starts a server with a playground, and 20 MiB for its bodies.
func startUnread(t *testing.T, play *Play) *unreading {
	t.Helper()
	cert, trusted := certificate(t)
	s := start(t, Config{Play: play, MaxBodies: 40 << 20, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, returns(`{}`))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &unreading{t, "https://" + s.addr, transport}
}

// run runs a snippet, and returns the answer, whose body ends with the context.
func (c *unreading) run(ctx context.Context, body, accept string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+PlayPath+"/run", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// counted returns how many bytes of bodies the server counts.
func (c *unreading) counted() int64 {
	c.t.Helper()
	answer, err := (&http.Client{Transport: c.transport}).Get(c.url + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	found := regexp.MustCompile(`(?m)^vivarium_bodies_bytes (\S+)$`).FindSubmatch(text)
	if err != nil || found == nil {
		c.t.Fatal("there is no figure: ", err)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return int64(n)
}

// Answers count as long as they are not read, and then there are no more than fit.
func TestPlay_CountsWhatIsNotRead(t *testing.T) {
	play, err := NewPlay(openPlay, mustRealHost(t).Runner())
	if err != nil {
		t.Fatal(err)
	}
	c := startUnread(t, play)
	large := snippet("def handler(event, context): return {'body': chr(1) * (1 << 20)}", `, "mode": "http"`) // 6 MiB as JSON
	for accept, full := range map[string]string{
		"application/json": `{"errorCode":429,`, "text/event-stream": "event: fault\ndata: {\"errorCode\":429,",
	} {
		t.Run(accept, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 2 {
				c.run(ctx, large, accept)
			}
			roomtest.Until(t, "both answers count", func() bool { return c.counted() >= 14<<20 })
			answer := c.run(t.Context(), large, accept)
			text, err := io.ReadAll(answer.Body)
			if err != nil || !strings.Contains(string(text), full) || !strings.Contains(string(text), "no memory left until others have read") {
				t.Errorf("one more: got %d %.300s, %v", answer.StatusCode, text, err)
			}
			cancel()
			roomtest.Until(t, "nothing counts", func() bool { return c.counted() == 0 })
			if text, err := io.ReadAll(c.run(t.Context(), large, accept).Body); err != nil || !strings.Contains(string(text), `"outcome":"ok"`) {
				t.Errorf("afterwards: got %.300s, %v", text, err)
			}
		})
	}
}

// However many events there are to be read, a reader has no more time for them than for
// one.
func TestPlayStream_HasOnePatienceForManyEvents(t *testing.T) {
	play, err := NewPlay(openPlay, triesFunc(
		func(_ context.Context, _ catalog.VersionSpec, _ run.Invocation, emit func(logs.Entry)) (*run.Result, error) {
			for range 1800 {
				emit(logs.Entry{Message: "an entry"})
			}
			return nil, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	play.patience = 500 * time.Millisecond
	answer := startUnread(t, play).run(t.Context(), snippet("", ""), "text/event-stream")
	read := 0
	for b := make([]byte, 4<<10); err == nil; read += len(b) {
		time.Sleep(50 * time.Millisecond) // less than the patience for one event, much more for 200 KiB
		_, err = io.ReadFull(answer.Body, b)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		t.Errorf("got all of %d bytes", read)
	}
}
