package events

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/logs"
	"vivarium/host/store"
)

const (
	// tickGrace is how late a tick may be called for: after that it counts as
	// missed.
	tickGrace = 30 * time.Second
	// maxClockSleep bounds how long a change of the machine's clock goes
	// unnoticed.
	maxClockSleep = 10 * time.Second
	// maxMissedTicks is how far missed ticks are counted.
	maxMissedTicks = 10_000
)

// clock makes timers tick. Several hosts may have the same timers: whoever
// first notes a tick in the store makes its call.
type clock struct {
	e       *Events
	started time.Time

	// creating is held while a timer is made, from counting those that there are.
	creating sync.Mutex

	mu     sync.Mutex        // guards timers; nothing blocks under it
	timers map[string]*timer // by reference
	wake   chan struct{}     // of capacity 1: timers have changed
}

func newClock(e *Events) *clock {
	return &clock{e: e, started: time.Now(), timers: map[string]*timer{}, wake: make(chan struct{}, 1)}
}

// put adds a timer, or takes over a newer state of it.
func (c *clock) put(t *timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.timers[t.reference()]; old != nil && old.revision >= t.revision {
		return
	}
	c.timers[t.reference()] = t
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clock) drop(reference string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.timers, reference)
}

// all returns the timers that there are.
func (c *clock) all() []*timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.timers))
}

// counts returns how many timers each tenant has.
func (c *clock) counts() map[string]int64 {
	counts := map[string]int64{}
	for _, t := range c.all() {
		counts[cmp.Or(t.Tenant, access.DefaultTenant)]++
	}
	return counts
}

// watch takes over the timers of the store, and their changes.
func (c *clock) watch(ctx context.Context) (stop func(), err error) {
	stop, err = c.e.store.Timers.Watch(ctx, func(e store.Entry) {
		if e.Deleted {
			c.drop(e.Key)
			return
		}
		r, err := readTimer(e)
		if err == nil {
			var t *timer
			if t, err = newTimer(r, e.Revision); err == nil {
				c.put(t)
				return
			}
		}
		c.e.log.Error("timer does not run", "timer", e.Key, "error", err)
	}, func() {})
	return stop, err
}

// readTimer reads the record of a timer.
func readTimer(e store.Entry) (t Timer, err error) {
	err = json.Unmarshal(e.Value, &t)
	t.Function = t.FunctionID
	return t, err
}

// dueAtOnce is how many timers of one tenant are settled before others are
// looked for: each takes as long as the disk does.
const dueAtOnce = 8

// due returns timers whose tick has come: some of each tenant that has any, who
// waits longest first. When there are none, it says when there will be.
func (c *clock) due(now time.Time) (due []*timer, next time.Time) {
	next = now.Add(maxClockSleep)
	for _, t := range c.all() {
		if t.Paused {
			continue
		}
		if !t.NextTick.After(now) {
			due = append(due, t)
		} else if t.NextTick.Before(next) {
			next = t.NextTick
		}
	}
	slices.SortFunc(due, func(a, b *timer) int { return a.NextTick.Compare(b.NextTick) })
	taken := map[string]int{}
	due = slices.DeleteFunc(due, func(t *timer) bool {
		taken[t.Tenant]++
		return taken[t.Tenant] > dueAtOnce
	})
	return due, next
}

// run ticks until Close.
func (c *clock) run() {
	for c.e.running.Err() == nil {
		now := time.Now()
		due, next := c.due(now)
		failed := false
		for _, t := range due {
			failed = !c.advance(t, now) || failed
		}
		switch {
		case failed:
			next = now.Add(time.Second) // the store was not there
		case len(due) > 0:
			continue
		}
		sleep := time.NewTimer(time.Until(next))
		select {
		case <-sleep.C:
		case <-c.wake:
		case <-c.e.running.Done():
		}
		sleep.Stop()
	}
}

// advance notes the ticks of t that have passed, calls its function for the
// last of them if it is not too late, and reports the others. It reports whether it
// could.
func (c *clock) advance(t *timer, now time.Time) bool {
	last, missed, first := t.NextTick, 0, t.NextTick
	late := false
	for next := t.schedule.Next(last); !next.IsZero() && !next.After(now); next = t.schedule.Next(last) {
		last = next
		if missed++; missed >= maxMissedTicks {
			last, late = now, true // no need to count on
			break
		}
	}
	late = late || now.Sub(last) > tickGrace
	if c.e.store.Exclusive && last.Before(c.started) {
		late = true // nobody was there
	}
	if late {
		missed = min(missed+1, maxMissedTicks)
	}
	record := t.Timer
	record.LastTick = last.UTC()
	revision, err := c.e.store.Timers.Update(c.e.running, t.reference(), store.Record(record), t.revision)
	if errors.Is(err, store.ErrRevision) {
		return c.reload(t) // another host was first, or it is deleted
	}
	if err != nil {
		return false
	}
	if settled, err := newTimer(record, revision); err == nil {
		c.put(settled)
	} else {
		c.drop(t.reference()) // its last tick was this
	}
	c.announce(t, first, last, missed, late)
	return true
}

// reload takes over a timer that somebody else has changed.
func (c *clock) reload(t *timer) bool {
	e, err := c.e.store.Timers.Get(c.e.running, t.reference())
	if errors.Is(err, store.ErrNotFound) {
		c.drop(t.reference())
		return true
	}
	if err != nil {
		return false
	}
	r, err := readTimer(e)
	if err != nil {
		return false
	}
	if fresh, err := newTimer(r, e.Revision); err == nil {
		c.put(fresh)
	}
	return true
}

// announce reports ticks that were missed and makes the call of the last one.
func (c *clock) announce(t *timer, first, last time.Time, missed int, late bool) {
	tenant := c.e.functions.TenantOf(t.FunctionID)
	if tenant == "" {
		return // it has just been deleted
	}
	if missed > 0 {
		count := strconv.Itoa(missed)
		if missed >= maxMissedTicks {
			count += " or more"
		}
		c.e.functions.Remark(t.FunctionID, logs.LevelWarn, fmt.Sprintf("Timer %s missed %s ticks since %s, while the service was down or too busy; "+
			"they are not made up for", t.Name, count, first.UTC().Format(time.RFC3339)),
			map[string]any{"timer_id": t.ID, "missed": missed})
	}
	if late {
		return
	}
	body := timerEvent(&t.Timer, tenant, last)
	request := uuid.NewString()
	notes := map[string]string{noteTag: t.Tag, noteRequest: request, noteTimer: t.ID}
	if t.Retry.Attempts > 0 {
		notes[noteRetries], notes[noteEvery] = strconv.Itoa(t.Retry.Attempts), strconv.FormatInt(t.Retry.Interval.Milliseconds(), 10)
	}
	err := c.e.enqueue(c.e.running, store.Item{
		ID: t.ID + "." + strconv.FormatInt(last.Unix(), 10), FunctionID: t.FunctionID, Body: body, Timer: true, Notes: notes,
	})
	if err != nil {
		c.e.functions.Remark(t.FunctionID, logs.LevelError, fmt.Sprintf("Timer %s: the call for %s is lost: the store did not take it",
			t.Name, last.UTC().Format(time.RFC3339)), map[string]any{"timer_id": t.ID})
	}
}
