package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// neighbour is a well-behaved function: how to call it, and how it must
// respond.
type neighbour struct {
	*function
	path string // after the function's id
	send func(nonce string) (http.Header, []byte)
	// wrong returns why a response is not the expected one for the nonce, or
	// "".
	wrong func(n *neighbour, a *answer, nonce string) string
}

var asJSON = http.Header{"Content-Type": {"application/json"}}

// sendEvent sends the nonce as an event in raw mode.
func sendEvent(nonce string) (http.Header, []byte) {
	return asJSON, []byte(`{"nonce": "` + nonce + `"}`)
}

// gives returns a check that a response's body is exactly as wanted.
func gives(want func(secret, nonce string) string) func(*neighbour, *answer, string) string {
	return func(n *neighbour, a *answer, nonce string) string {
		if want := want(n.secret, nonce); a.status != http.StatusOK || string(a.body) != want {
			return fmt.Sprintf("got %d %.300q, want %.300q", a.status, a.body, want)
		}
		return ""
	}
}

// theNonce is the response of most neighbours.
func theNonce(secret, nonce string) string {
	return fmt.Sprintf(`{"nonce": "%s", "secret": "%s"}`, nonce, secret)
}

// newNeighbours returns the well-behaved functions, of several tenants.
func (d *driver) newNeighbours() []*neighbour {
	counts := &counts{seen: map[string]map[int]bool{}}
	const rawMode = "?integration=raw"
	all := []*neighbour{
		{function: d.newFunction("anna", "neighbour", "plain"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
		{function: d.newFunction("anna", "neighbour", "concurrent"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
		{function: d.newFunction("boris", "neighbour", "web"), send: sendRequest, wrong: wrongResponse},
		{function: d.newFunction("boris", "neighbour", "raw"), path: rawMode, send: func(nonce string) (http.Header, []byte) {
			return http.Header{"Content-Type": {"application/octet-stream"}}, []byte("\xfe" + nonce)
		}, wrong: gives(func(secret, nonce string) string { return "\xff" + nonce + secret })},
		{function: d.newFunction("clara", "neighbour", "files"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
		{function: d.newFunction("clara", "neighbour", "counter"), path: rawMode, send: sendEvent, wrong: counts.wrong},
		{function: d.newFunction("dima", "neighbour", "compute"), path: rawMode, send: sendEvent, wrong: gives(theDigest)},
		{function: d.newFunction("dima", "neighbour", "sleeper"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
		{function: d.newFunction("boris", "neighbour", "threaded"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
		{function: d.newFunction("anna", "neighbour", "talker"), path: rawMode, send: sendEvent, wrong: gives(theNonce)},
	}
	all[len(all)-1].talks = true
	for _, n := range all {
		n.secret = d.secrets[n.tenant]
	}
	return all
}

// sendRequest sends the nonce as a header and as a body in HTTP mode.
func sendRequest(nonce string) (http.Header, []byte) {
	return http.Header{"X-Nonce": {nonce}, "Content-Type": {"text/plain"}}, []byte(nonce)
}

// wrongResponse checks all parts of a response in HTTP mode.
func wrongResponse(n *neighbour, a *answer, nonce string) string {
	want := theNonce(n.secret, nonce)
	twice := a.header["X-Twice"]
	if a.status != http.StatusCreated || string(a.body) != want || a.header.Get("X-Nonce") != nonce ||
		len(twice) != 2 || twice[0] != nonce || twice[1] != nonce {
		return fmt.Sprintf("got %d %v %.300q, want %.300q", a.status, a.header, a.body, want)
	}
	return ""
}

// theDigest is what a neighbour computes.
func theDigest(secret, nonce string) string {
	digest := []byte(nonce)
	for range 2000 {
		sum := sha256.Sum256(digest)
		digest = sum[:]
	}
	return fmt.Sprintf(`{"nonce": "%s", "secret": "%s", "digest": "%x"}`, nonce, secret, digest)
}

// counts are the states that instances have reported: none may report the same
// twice. Safe for concurrent use.
type counts struct {
	mu   sync.Mutex // guards seen
	seen map[string]map[int]bool
}

func (c *counts) wrong(n *neighbour, a *answer, nonce string) string {
	var got struct {
		Nonce, Secret, Instance string
		Calls                   int
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &got) != nil || got.Nonce != nonce || got.Secret != n.secret {
		return fmt.Sprintf("got %d %.300q, want nonce %s", a.status, a.body, nonce)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[got.Instance] == nil {
		c.seen[got.Instance] = map[int]bool{}
	}
	if c.seen[got.Instance][got.Calls] {
		return fmt.Sprintf("instance %s was at call %d twice", got.Instance, got.Calls)
	}
	c.seen[got.Instance][got.Calls] = true
	return ""
}

// call calls the neighbour once and judges the outcome.
func (n *neighbour) call(ctx context.Context, l *ledger) {
	nonce := nonce()
	header, body := n.send(nonce)
	started := time.Now()
	a, err := n.client.call(ctx, http.MethodPost, "/"+n.id+n.path, header, body)
	took := time.Since(started)
	if ctx.Err() != nil {
		return // we have left
	}
	cut := l.hindered(withoutProgram, started)
	switch {
	case err != nil && cut:
		l.cut()
		pause(ctx, 50*time.Millisecond)
	case err != nil:
		l.breach("lost", "%s: no answer after %v: %v", n.name, took, err)
	case (a.status == http.StatusServiceUnavailable || stoodStill(a)) && cut:
		l.cut()
	case a.status == http.StatusTooManyRequests:
		l.breach("refused", "%s: %s", n.name, a.body)
	case a.status >= 500:
		l.breach("failed", "%s: %d %s", n.name, a.status, a.body)
	default:
		switch wrong := n.wrong(n, a, nonce); {
		case wrong == "":
			l.right(n.function, a, took)
		case foreign(a.body, nonce, n.secret):
			l.breach("crossed", "%s: %s", n.name, wrong)
		default:
			l.breach("wrong", "%s: %s", n.name, wrong)
		}
	}
}

// foreign reports whether a body contains another call's nonce or another
// tenant's secret.
func foreign(body []byte, nonce, secret string) bool {
	rest := bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(nonce), nil), []byte(secret), nil)
	return bytes.Contains(rest, []byte(noncePrefix)) || bytes.Contains(rest, []byte(secretPrefix))
}

// maxLead is by how many calls one side may be ahead of the other, so that half
// of all calls are hostile.
const maxLead = 50

// keepCalling calls neighbours in a loop, until ctx ends.
func (d *driver) keepCalling(ctx context.Context) {
	for ctx.Err() == nil {
		if d.ledger.balance() > maxLead {
			pause(ctx, 2*time.Millisecond)
			continue
		}
		d.gate.RLock()
		d.neighbours[rand.IntN(len(d.neighbours))].call(ctx, d.ledger)
		d.gate.RUnlock()
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
