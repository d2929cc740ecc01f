package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"vivarium/web/api"
)

// revokedTime is how long after the answer to its deletion a key may be accepted by nodes that
// are connected.
const revokedTime = 2 * time.Second

// revoked is what is known of keys that were deleted. Safe for concurrent use.
type revoked struct {
	mu     sync.Mutex    // guards below
	keys   int           // deleted
	checks int           // of deleted keys, at nodes that are connected
	slow   time.Duration // the longest that one of these accepted one
	cut    int           // uses of deleted keys at nodes that were cut off
	late   int           // of these, after the time for which such a node may go on
}

// keepRevoking makes keys and deletes them, and notes for how long they are accepted.
func (c *clustered) keepRevoking(ctx context.Context) {
	f := c.d.neighbours[0]
	for ctx.Err() == nil {
		started := time.Now()
		if err := c.revoke(ctx, f); err != nil {
			c.d.noteChange(ctx, "keys revoked", started, err)
		}
		pause(ctx, 500*time.Millisecond)
	}
}

func (c *clustered) revoke(ctx context.Context, f *neighbour) error {
	made, err := c.makeKey(ctx, f)
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		c.use(ctx, n, f, made.Secret)
	}
	if err := c.deleteKey(ctx, made); err != nil {
		return err
	}
	since := time.Now()
	var checking sync.WaitGroup
	for _, n := range c.nodes {
		checking.Go(func() { c.check(ctx, n, f, made.Secret, since) })
	}
	checking.Wait()
	c.revoked.mu.Lock()
	defer c.revoked.mu.Unlock()
	c.revoked.keys++
	return nil
}

func (c *clustered) makeKey(ctx context.Context, f *neighbour) (made api.CreateKeyResponse, err error) {
	err = c.d.client("").plain(ctx, http.MethodPost, "/keys", api.CreateKeyRequest{Tenant: f.tenant, Role: "invoker"}, &made)
	return made, err
}

func (c *clustered) deleteKey(ctx context.Context, made api.CreateKeyResponse) error {
	return c.d.client("").manage(ctx, http.MethodDelete, "/keys/"+made.Key.ID, nil, nil)
}

// use waits until a node accepts a key, if it is well.
func (c *clustered) use(ctx context.Context, n *node, f *neighbour, secret string) {
	for end := time.Now().Add(5 * time.Second); !n.down.Load() && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := c.ask(ctx, n, f, secret)
		if err != nil || a.status < 400 {
			return
		}
		if time.Now().After(end) && !n.down.Load() {
			c.d.ledger.breach("new keys are accepted", "%s refused one for 5 s: %d %s", n.name, a.status, a.body)
			return
		}
	}
}

// ask calls a function at a node with a key.
func (c *clustered) ask(ctx context.Context, n *node, f *neighbour, secret string) (*answer, error) {
	stranger := *f.client
	stranger.base, stranger.keys, stranger.known = n.base, map[string]string{f.tenant: secret}, nil
	header, body := f.send(nonce())
	return stranger.call(ctx, http.MethodPost, "/"+f.id+f.path, header, body)
}

// check asks a node until it does not accept a key any more.
func (c *clustered) check(ctx context.Context, n *node, f *neighbour, secret string, since time.Time) {
	for ctx.Err() == nil {
		asked := time.Now()
		if n.down.Load() || n.since.Load() > since.UnixNano() || asked.Sub(since) > time.Minute {
			return // it is not connected, or was not
		}
		a, err := c.ask(ctx, n, f, secret)
		if err != nil || n.down.Load() {
			return
		}
		accepted := a.status < 400
		c.revoked.note(accepted, asked.Sub(since))
		if !accepted {
			return
		}
		if age := asked.Sub(since); age > revokedTime {
			c.d.ledger.breach("revoked keys are refused", "%s accepted one %v after it was deleted", n.name, age)
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// note counts a use of a deleted key at a node that is connected.
func (r *revoked) note(accepted bool, age time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks++
	if accepted {
		r.slow = max(r.slow, age)
	}
}

// noteCut counts a use of a deleted key at a node that was cut off.
func (r *revoked) noteCut(late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut++
	if late {
		r.late++
	}
}

// keyFor makes a key and uses it at a node; revoke deletes it.
func (c *clustered) keyFor(ctx context.Context, n *node) (secret string, revoke func(context.Context)) {
	const kind = "keys of nodes that are cut off"
	f := c.d.neighbours[0]
	patiently := func(ctx context.Context, change func() error) {
		for ctx.Err() == nil {
			started := time.Now()
			err := change()
			c.d.noteChange(ctx, kind, started, err)
			if err == nil {
				return
			}
			pause(ctx, 100*time.Millisecond)
		}
	}
	var made api.CreateKeyResponse
	patiently(ctx, func() (err error) {
		made, err = c.makeKey(ctx, f)
		return err
	})
	c.use(ctx, n, f, made.Secret)
	return made.Secret, func(ctx context.Context) {
		patiently(ctx, func() error { return c.deleteKey(ctx, made) })
	}
}

// watchCut uses a deleted key, until ctx ends, at a node that was cut off before it was deleted.
// The node may accept it until the bound.
func (c *clustered) watchCut(ctx context.Context, n *node, secret string, bound time.Time) {
	for ; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		c.tryCut(ctx, n, secret, bound)
	}
}

// tryCut does so once.
func (c *clustered) tryCut(ctx context.Context, n *node, secret string, bound time.Time) {
	asked := time.Now()
	a, err := c.ask(ctx, n, c.d.neighbours[0], secret)
	if err != nil {
		return
	}
	late := asked.After(bound)
	c.revoked.noteCut(late)
	if late && a.status < 400 {
		c.d.ledger.breach("nodes that were cut off refuse revoked keys", "%s accepted one %v too late", n.name, asked.Sub(bound))
	}
}

// judgeCuts checks that nodes were cut off for long enough.
func (c *clustered) judgeCuts() {
	c.revoked.mu.Lock()
	late := c.revoked.late
	c.revoked.mu.Unlock()
	if c.d.duration >= longForm && late == 0 {
		c.d.ledger.breach("soak", "no node was asked after it had been cut off for too long")
	}
}

// report prints what only clusters have.
func (c *clustered) report(t io.Writer) {
	c.reportRevoked(t)
	c.reportImages(t)
	r := &c.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(t, "Nodes that had been cut off were shown revoked keys %d times, %d of these after the time for which they may go on.\n",
		r.cut, r.late)
}

func (c *clustered) reportRevoked(t io.Writer) {
	r := &c.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(t, "\n%d keys were revoked; the longest that a connected node still accepted one: %v (%d checks).\n",
		r.keys, r.slow.Round(time.Millisecond), r.checks)
}
