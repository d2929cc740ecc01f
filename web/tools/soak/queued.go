package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// queue makes asynchronous calls and checks their outcomes. Safe for concurrent
// use.
type queue struct {
	l      *ledger
	prints *function // logs its nonce
	fails  *function // fails, so that its events become dead letters

	mu           sync.Mutex           // guards all below
	owed         map[string]time.Time // when each call that may not have been made yet was acknowledged
	acknowledged int
	page         string // of dead letters, up to which they were read
}

func (d *driver) newQueue() *queue {
	q := &queue{l: d.ledger, owed: map[string]time.Time{},
		prints: d.newFunction("anna", "neighbour", "queued"), fails: d.newFunction("boris", "neighbour", "failing")}
	for _, f := range []*function{q.prints, q.fails} {
		f.secret, f.async = d.secrets[f.tenant], true
	}
	return q
}

// enqueue makes one call.
func (q *queue) enqueue(ctx context.Context, f *function) {
	nonce := nonce()
	_, body := sendEvent(nonce)
	started := time.Now()
	a, err := f.client.call(ctx, http.MethodPost, "/"+f.id+"?integration=async", asJSON, body)
	if ctx.Err() != nil {
		return
	}
	cut := q.l.hindered(withoutProgram, started)
	switch {
	case err != nil:
		if !cut {
			q.l.breach("lost", "asynchronous call: %v", err)
		}
		q.l.count("asynchronous calls", "no answer")
	case a.status == http.StatusAccepted:
		q.mu.Lock()
		q.owed[nonce] = started
		q.acknowledged++
		q.mu.Unlock()
		q.l.count("asynchronous calls", "202")
	case a.status == http.StatusServiceUnavailable:
		if !cut && !q.l.hindered(withoutStore, started) {
			q.l.breach("failed", "asynchronous call: 503 %s", a.body)
		}
		q.l.count("asynchronous calls", unavailable)
	default:
		q.l.breach("failed", "asynchronous call: %d %s", a.status, a.body)
	}
}

// reconcile looks for calls owed that have been made.
func (q *queue) reconcile(ctx context.Context) error {
	since := time.Now()
	q.mu.Lock()
	owed := len(q.owed)
	for _, started := range q.owed {
		if started.Before(since) {
			since = started
		}
	}
	q.mu.Unlock()
	if owed == 0 {
		return nil
	}
	ran, err := q.prints.ran(ctx, since)
	if err != nil {
		return err
	}
	q.mu.Lock()
	page := q.page
	q.mu.Unlock()
	died, page, err := q.fails.died(ctx, page)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.page = page
	for _, nonce := range ran {
		delete(q.owed, nonce)
	}
	for _, body := range died {
		const before, after = `{"nonce": "`, `"}`
		if len(body) > len(before)+len(after) {
			delete(q.owed, body[len(before):len(body)-len(after)])
		}
	}
	return nil
}

// figures returns how many calls were acknowledged, and how many of them are
// still owed.
func (q *queue) figures() (acknowledged, owed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.acknowledged, len(q.owed)
}

// drain waits until all acknowledged calls are made. After a while, the rest
// counts as lost.
func (q *queue) drain(ctx context.Context, limit time.Duration) {
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 200*time.Millisecond) {
		if err = q.reconcile(ctx); err == nil {
			if _, owed := q.figures(); owed == 0 {
				return
			}
		}
	}
	if ctx.Err() == nil {
		_, owed := q.figures()
		q.l.breach("lost", "%d asynchronous calls were acknowledged and not made within %v (%v)", owed, limit, err)
	}
}

// keepQueuing makes asynchronous calls and checks on them, until ctx ends.
func (d *driver) keepQueuing(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		d.gate.RLock()
		f, pace := d.target.queues(n)
		d.queue.enqueue(ctx, f)
		if n%50 == 0 {
			started := time.Now()
			err := d.queue.reconcile(ctx)
			d.noteChange(ctx, "reading logs", started, err)
		}
		d.gate.RUnlock()
		pause(ctx, pace)
	}
}

// noteChange counts the outcome of a request to the management API, which may
// only fail for lack of a store.
func (d *driver) noteChange(ctx context.Context, kind string, started time.Time, err error) {
	if ctx.Err() != nil {
		return
	}
	l := d.ledger
	switch {
	case err == nil:
		l.count(kind, "done")
	case errors.Is(err, errUnavailable) && isBehind(err.Error()) && l.hindered(withoutServer, started):
		l.count(kind, behind)
	case errors.Is(err, errUnavailable) && (l.hindered(withoutStore, started) || l.hindered(withoutProgram, started)):
		l.count(kind, unavailable)
	case l.hindered(withoutProgram, started):
		l.count(kind, "no answer")
		pause(ctx, 50*time.Millisecond)
	default:
		l.breach("changes", "%s: %v", kind, err)
	}
}
