package transfer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// send sends the head of a request and its pieces, a second apart, and returns
// the outcome for the body.
func send(t *testing.T, l Limits, head string, pieces ...string) (string, error) {
	t.Helper()
	type outcome struct {
		body string
		err  error
	}
	read := make(chan outcome, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := Read(w, r, l)
		read <- outcome{string(body), err}
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", head)
	for _, piece := range pieces {
		if piece == "end" {
			_ = conn.Close()
			break
		}
		_, _ = io.WriteString(conn, piece)
	}
	o := <-read
	return o.body, o.err
}

func TestRead_KeepsTheLimits(t *testing.T) {
	refusal := errors.New("no room")
	wide := Limits{Bytes: 1 << 20, Time: time.Minute}
	for name, c := range map[string]struct {
		limits Limits
		head   string
		pieces []string
		body   string
		err    error
	}{
		"a body":              {wide, "Content-Length: 3", []string{"a", "bc"}, "abc", nil},
		"none":                {wide, "X: y", nil, "", nil},
		"chunks":              {wide, "Transfer-Encoding: chunked", []string{"2\r\nab\r\n", "0\r\n\r\n"}, "ab", nil},
		"announced large":     {Limits{Bytes: 2, Time: time.Minute}, "Content-Length: 3", nil, "", ErrTooLarge},
		"chunks too large":    {Limits{Bytes: 2, Time: time.Minute}, "Transfer-Encoding: chunked", []string{"3\r\nabc\r\n"}, "", ErrTooLarge},
		"broken chunks":       {wide, "Transfer-Encoding: chunked", []string{"x\r\nab\r\n"}, "", ErrBroken},
		"shorter":             {wide, "Content-Length: 3", []string{"a", "end"}, "", ErrCut},
		"too long on its way": {Limits{Bytes: 9, Time: 50 * time.Millisecond}, "Content-Length: 3", []string{"a"}, "", ErrSlow},
		"refused": {Limits{Bytes: 9, Time: time.Minute, Hold: func(int) error { return refusal }}, "Content-Length: 3",
			[]string{"abc"}, "", refusal},
	} {
		t.Run(name, func(t *testing.T) {
			if body, err := send(t, c.limits, c.head, c.pieces...); body != c.body || err != c.err {
				t.Errorf("got %q, %v, want %q, %v", body, err, c.body, c.err)
			}
		})
	}
}

// deadlines records the deadlines that are set.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.set = append(d.set, at); return nil }

func TestRead_WantsAPace(t *testing.T) {
	d := &deadlines{ResponseWriter: httptest.NewRecorder()}
	started := time.Now()
	body := io.MultiReader(strings.NewReader("x"), strings.NewReader(strings.Repeat("y", 20*pace)))
	r := httptest.NewRequest("POST", "/", body)
	if _, err := Read(d, r, Limits{Bytes: 1 << 20, Time: time.Minute}); err != nil {
		t.Fatal(err)
	}
	// The first bytes have as long as patience allows; those at the end longer.
	first, last := d.set[0].Sub(started), d.set[len(d.set)-2].Sub(started)
	if first < patience || first > patience+5*time.Second {
		t.Errorf("the first byte has %v, want %v", first, patience)
	}
	if want := patience + 20*time.Second; last < want || last > want+5*time.Second {
		t.Errorf("the last byte has %v, want %v", last, want)
	}
	if !d.set[len(d.set)-1].IsZero() {
		t.Error("the deadline stays after the body")
	}
}
