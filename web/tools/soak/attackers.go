package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"vivarium/web/api"
)

// attacker is a hostile function, and the error types that its calls may end
// in; "answer" means none.
type attacker struct {
	*function
	allowed []string
	slow    bool // its calls run until they time out
}

// spinTime is the timeout of slow attackers: many of their calls should end
// during the load.
const spinTime = 500 * time.Millisecond

// newAttackers returns the hostile functions, of several tenants.
func (d *driver) newAttackers() []*attacker {
	var all []*attacker
	add := func(tenant, handler string, slow bool, allowed ...string) {
		a := &attacker{function: d.newFunction(tenant, "hostile", handler), allowed: allowed, slow: slow}
		a.timeout, a.broken = 2*time.Second, true // a busy machine may take longer to load them
		if slow {
			a.timeout = spinTime
		}
		// Memory is short, and so are processors: either limit may be hit
		// first.
		a.allowed = append(a.allowed, "ExecutionTimeout", "MemoryError", "OutOfMemory")
		all = append(all, a)
	}
	add("mallory", "spin", true)
	all[0].async = true // keeps its tenant's queue full
	add("mallory", "pattern", true)
	add("mallory", "stubborn", true)
	add("trudy", "balloon", true)
	add("trudy", "fill", true, "OSError")
	add("oscar", "oversleep", true)
	add("oscar", "flood", true, "answer")
	add("trudy", "nest", true, "RecursionError", "RuntimeExit")
	add("trudy", "large", false, "answer")
	add("trudy", "too_large", false, "ResponseTooLarge")
	add("oscar", "leave", false, "SystemExit")
	add("oscar", "die", false, "RuntimeExit")
	add("mallory", "abort", false, "RuntimeExit")
	add("mallory", "recurse", false, "RecursionError")
	add("trudy", "huge_exception", false, "ValueError")
	add("oscar", "newlines", true, "answer")
	add("mallory", "reread", true)
	add("trudy", "own", true, "answer")
	first := len(all)
	// OSError: a minute's rest ends its connections, but it keeps their descriptors.
	add("oscar", "hoard_connections", false, "PermissionError", "OSError")
	add("oscar", "receive_without_end", true, "PermissionError")
	add("trudy", "wait_for_an_answer", true)
	add("mallory", "reach_others", false, "PermissionError")
	add("trudy", "follow_away", false, "URLError", "PermissionError")
	for _, a := range all[first:] {
		a.talks = true
	}
	add("trudy", "bomb_with_threads", false, "RuntimeError")
	add("mallory", "deadlock", true)
	add("oscar", "die_beside_threads", false, "RuntimeExit")
	add("mallory", "snoop", false, "answer", "OSError", "PermissionError", "FileNotFoundError")
	return all
}

// attack calls a hostile function and judges the outcome.
func (a *attacker) attack(ctx context.Context, l *ledger) {
	judge(ctx, l, a.name, a.allowed, func() (*answer, error) {
		return a.client.call(ctx, http.MethodPost, "/"+a.id+"?integration=raw", asJSON, []byte(`"attack"`))
	})
}

// judge makes a hostile call and judges the outcome: it must be one of those
// allowed, or, if none are named, any fault of the function.
func judge(ctx context.Context, l *ledger, kind string, allowed []string, call func() (*answer, error)) {
	started := time.Now()
	got, err := call()
	if ctx.Err() != nil {
		return // we have left
	}
	cut := l.hindered(withoutProgram, started)
	outcome := ""
	switch {
	case err != nil:
		if outcome = "no answer"; !cut {
			l.breach("lost", "%s: %v", kind, err)
		}
		pause(ctx, 50*time.Millisecond)
	case bytes.Contains(got.body, []byte(secretPrefix)), bytes.Contains(got.body, []byte(noncePrefix)):
		outcome = "learnt"
		l.breach("crossed", "%s learnt %.300q", kind, got.body)
	case got.status == http.StatusTooManyRequests:
		outcome = "429"
	case got.status == http.StatusServiceUnavailable:
		if outcome = unavailable; !cut && !l.hindered(withoutStore, started) {
			l.breach("failed", "%s: 503 %s", kind, got.body)
		}
	case stoodStill(got) && cut:
		outcome = "408"
	case got.status == http.StatusOK:
		if outcome = "answer"; allowed != nil && !slices.Contains(allowed, outcome) {
			l.breach("hostile", "%s was answered: %.100q", kind, got.body)
		}
	case got.functionError() == "":
		outcome = fmt.Sprint(got.status)
		l.breach("failed", "%s: %d %s", kind, got.status, got.body)
	default:
		if outcome = got.functionError(); allowed != nil && !slices.Contains(allowed, outcome) {
			l.breach("hostile", "%s ended in %.300s, which it may not: %v", kind, got.body, allowed)
		}
	}
	l.attacked(kind, outcome)
}

// stoodStill reports whether an answer can be that of a node which stood still between the
// head of a request and its body, and found the time for that to be over when it went on.
func stoodStill(a *answer) bool { return a.status == http.StatusRequestTimeout }

// cancel calls a function and leaves before it can respond.
func (a *attacker) cancel(ctx context.Context, l *ledger) {
	leaving, leave := context.WithTimeout(ctx, time.Duration(1+rand.IntN(50))*time.Millisecond)
	defer leave()
	got, err := a.client.call(leaving, http.MethodPost, "/"+a.id+"?integration=raw", asJSON, []byte(`"attack"`))
	switch {
	case err != nil:
		l.attacked("callers who leave", "left")
	case got.status >= 500 && got.functionError() == "" && got.status != http.StatusServiceUnavailable:
		l.breach("failed", "a caller who leaves: %d %s", got.status, got.body)
	default:
		l.attacked("callers who leave", "answer")
	}
}

// queue calls the function asynchronously, which must not hold up anyone else's
// calls. It may be refused or accepted.
func (a *attacker) queue(ctx context.Context, l *ledger) {
	const kind = "queued hostile calls"
	started := time.Now()
	got, err := a.client.call(ctx, http.MethodPost, "/"+a.id+"?integration=async", asJSON, []byte(`"attack"`))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		if !l.hindered(withoutProgram, started) {
			l.breach("lost", "%s: %v", kind, err)
		}
		l.attacked(kind, "no answer")
	case got.status == http.StatusServiceUnavailable && l.hindered(withoutStore, started),
		got.status == http.StatusServiceUnavailable && l.hindered(withoutProgram, started),
		got.status == http.StatusAccepted, got.status == http.StatusTooManyRequests:
		l.attacked(kind, fmt.Sprint(got.status))
	default:
		l.breach("failed", "%s: %d %s", kind, got.status, got.body)
	}
}

// trespass accesses another tenant's functions. To the attacker, they must not
// exist.
func (a *attacker) trespass(ctx context.Context, l *ledger, victim *function) {
	const kind = "others' functions"
	method, path := http.MethodGet, api.BasePath+"/functions/"+victim.id
	switch rand.IntN(4) {
	case 0:
		method, path = http.MethodPost, "/"+victim.id+"?integration=raw"
	case 1:
		path += ":logs"
	case 2:
		method = http.MethodDelete
	}
	started := time.Now()
	got, err := a.client.call(ctx, method, path, nil, nil)
	switch {
	case ctx.Err() != nil:
	case l.hindered(withoutProgram, started):
		l.attacked(kind, "no answer")
	case err != nil:
		l.breach("lost", "%s: %v", kind, err)
	case isBehind(string(got.body)) && l.hindered(withoutServer, started):
		l.attacked(kind, behind)
	case got.status != http.StatusNotFound:
		l.breach("crossed", "%s: %s %s: %d %.300s", kind, method, path, got.status, got.body)
	default:
		l.attacked(kind, "404")
	}
}

// oddRequests are bytes that are no request, or an incomplete one. They are
// sent in pieces; {} is a function's id.
var oddRequests = [][]string{
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
	{"GET / HTTP/1.1\r\n\r\n"},
	{"GET /{} HTTP/1.1\r\nHost: a\r\nX: ", strings.Repeat("x", 100_000), "\r\n\r\n"},
	{"POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", "a", "b", "c"},
	{"POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"},
	{"POST /{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
	{"POST /{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "cde\r\n", "5\r\n"},
	{"BREW /{} HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"POST /{}?integration=%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"POST /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"POST /functions/v1/versions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": [[["},
}

// sendOdd sends one of them over a new connection. Only a refusal may come
// back.
func (a *attacker) sendOdd(ctx context.Context, l *ledger) {
	const kind = "odd requests"
	started := time.Now()
	connection, err := net.Dial("tcp", strings.TrimPrefix(a.base(), "http://"))
	if err != nil {
		if !l.hindered(withoutProgram, started) {
			l.breach("lost", "%s: %v", kind, err)
		}
		l.attacked(kind, "no answer")
		pause(ctx, 50*time.Millisecond)
		return
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(200 * time.Millisecond)) // most wait for more
	for i, piece := range oddRequests[rand.IntN(len(oddRequests))] {
		if i > 0 {
			pause(ctx, 10*time.Millisecond)
		}
		if _, err := io.WriteString(connection, strings.ReplaceAll(piece, "{}", a.id)); err != nil {
			break // refused already
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		l.attacked(kind, "closed")
		return
	}
	defer response.Body.Close()
	if response.StatusCode < 400 || response.StatusCode >= 500 {
		if response.StatusCode != http.StatusServiceUnavailable || !l.hindered(withoutProgram, started) {
			l.breach("failed", "%s: status %d", kind, response.StatusCode)
		}
	}
	l.attacked(kind, fmt.Sprint(response.StatusCode))
}

// keepAttacking makes hostile calls in a loop, until ctx ends; if slow is set,
// those that run until they time out.
func (d *driver) keepAttacking(ctx context.Context, slow bool) {
	var own []*attacker
	for _, a := range d.attackers {
		if a.slow == slow {
			own = append(own, a)
		}
	}
	for ctx.Err() == nil {
		if !slow && d.ledger.balance() < -maxLead {
			pause(ctx, 2*time.Millisecond)
			continue
		}
		d.gate.RLock()
		a := own[rand.IntN(len(own))]
		switch n := rand.IntN(10); {
		case slow && n == 0:
			d.strikes.call(ctx, d.ledger)
		case a.async && n < 5:
			a.queue(ctx, d.ledger)
		case !slow && n == 0:
			a.cancel(ctx, d.ledger)
		case !slow && n == 1:
			a.sendOdd(ctx, d.ledger)
		case !slow && n == 2:
			a.trespass(ctx, d.ledger, d.neighbours[rand.IntN(len(d.neighbours))].function)
		default:
			a.attack(ctx, d.ledger)
		}
		d.gate.RUnlock()
	}
}
