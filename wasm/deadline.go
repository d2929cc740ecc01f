package wasm

import (
	"context"
	"sync"
	"time"
)

// deadline is when the current call must have ended. It moves on while it is held, so that
// no time passes for the call. Other goroutines than the call's may use it.
type deadline struct {
	mu    sync.Mutex // guards the members; nothing blocks under it
	until time.Time  // zero means none
	at    int64      // the same on the engine's clock; 0 means none
	holds int        // how often it is held
	since time.Time  // when the first of those who hold it came, or the call began
	moved time.Duration
	timer *time.Timer // of watch
}

// set begins a call that ends at a time, unless that is zero. now is the engine's clock.
func (d *deadline) set(until time.Time, now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until, d.at, d.moved, d.since = until, 0, 0, time.Now()
	if !until.IsZero() {
		d.at = now + int64(time.Until(until))
	}
}

// end returns until when the guest may wait; zero means that nobody knows yet, or that there
// is no end.
func (d *deadline) end() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holds > 0 {
		return time.Time{}
	}
	return d.until
}

// passed reports whether the time is up. now is the engine's clock.
func (d *deadline) passed(now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Those who wait until the deadline go by the other clock.
	return d.at != 0 && d.holds == 0 && (now >= d.at || !time.Now().Before(d.until))
}

// hold makes time stand still for the call until release is called.
func (d *deadline) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holds++; d.holds > 1 {
		return
	}
	d.since = time.Now()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// release ends a hold.
func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holds--; d.holds > 0 {
		return
	}
	stood := time.Since(d.since)
	d.moved += stood
	if d.at == 0 {
		return
	}
	d.at += int64(stood)
	d.until = d.until.Add(stood)
	if d.timer != nil {
		d.timer.Reset(time.Until(d.until))
	}
}

// watch calls f when the time is up, unless stop is called before. There is one watch at a
// time.
func (d *deadline) watch(f func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == 0 {
		return func() {}
	}
	d.timer = time.AfterFunc(time.Until(d.until), f)
	if d.holds > 0 {
		d.timer.Stop()
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.timer.Stop()
		d.timer = nil
	}
}

// Held returns for how long time stood still in the last call; see sockets.Conn.
func (i *Instance) Held() time.Duration {
	i.limit.mu.Lock()
	defer i.limit.mu.Unlock()
	return i.limit.moved
}

// hold makes time stand still for the call until release is called or ctx ends.
func (i *Instance) hold(ctx context.Context) (release func()) {
	i.limit.hold()
	once := sync.OnceFunc(i.limit.release)
	stop := context.AfterFunc(ctx, once)
	return func() {
		stop()
		once()
	}
}
