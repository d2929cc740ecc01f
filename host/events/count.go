package events

import (
	"context"
	"sync"
	"time"

	"vivarium/host/quota"
	"vivarium/host/store"
)

// queueCount counts queued calls by tenant. The store is asked once a second at
// most, so a tenant may be refused a moment too long, but never gets more than
// it may have.
type queueCount struct {
	e *Events

	mu      sync.Mutex // guards all below; held while the store is asked
	at      time.Time  // when queued is from
	queued  map[string]store.Queued
	pending map[string]store.Queued // by tenant: calls that are being queued now
}

const (
	// queueCountAge is how old counts may be.
	queueCountAge = time.Second
	// queueRefusalAge is how old they may be when somebody is refused.
	queueRefusalAge = 50 * time.Millisecond
)

// of returns what a tenant has in the queue.
//
// # Errors
//
// ErrUnavailable.
func (c *queueCount) of(ctx context.Context, tenant string) (store.Queued, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.refresh(ctx, queueCountAge)
	return plus(c.queued[tenant], c.pending[tenant]), err
}

func plus(a, b store.Queued) store.Queued {
	return store.Queued{Items: a.Items + b.Items, Bytes: a.Bytes + b.Bytes}
}

// itemBytes is what a queued call takes in the store besides its body, about.
const itemBytes = 512

// free returns how many bytes the store's queue would have left with one more.
// Since nobody may have more than that, however many fill the queue there is
// always room for those who have nothing in it. The caller holds the mutex.
func (c *queueCount) free(one store.Queued) int64 {
	all := one
	for _, n := range c.queued {
		all = plus(all, n)
	}
	for _, n := range c.pending {
		all = plus(all, n)
	}
	capacity := c.e.store.Queue.Capacity() / 16 * 15 // the rest is for ticks and retries
	return capacity - all.Bytes - all.Items*itemBytes
}

// reserve makes sure that a tenant may queue one more call with a body of so many
// bytes. The caller says, by the function that reserve returns, that it is queued,
// or never will be.
//
// # Errors
//
// *quota.Error, ErrUnavailable.
func (c *queueCount) reserve(ctx context.Context, tenant string, bytes int) (done func(queued bool), err error) {
	one := store.Queued{Items: 1, Bytes: int64(bytes)}
	c.mu.Lock()
	defer c.mu.Unlock()
	// exceeded returns the quota for which there would be too much.
	exceeded := func() quota.Quota {
		all := plus(plus(c.queued[tenant], c.pending[tenant]), one)
		for q, n := range map[quota.Quota]int64{quota.AsyncCalls: all.Items, quota.AsyncBytes: all.Bytes} {
			if limit := c.e.ledger.Limit(tenant, q); limit >= 0 && n > limit {
				return q
			}
		}
		if all.Bytes+all.Items*itemBytes > c.free(one) {
			return quota.AsyncBytes
		}
		return -1
	}
	err = c.refresh(ctx, queueCountAge)
	if err == nil && exceeded() >= 0 {
		err = c.refresh(ctx, queueRefusalAge)
	}
	if err != nil {
		return nil, err
	}
	if q := exceeded(); q >= 0 {
		return nil, c.e.ledger.Refuse(tenant, q)
	}
	c.pending[tenant] = plus(c.pending[tenant], one)
	return func(queued bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if queued {
			c.queued[tenant] = plus(c.queued[tenant], one)
		}
		c.pending[tenant] = plus(c.pending[tenant], store.Queued{Items: -1, Bytes: -one.Bytes})
		if c.pending[tenant].Items == 0 {
			delete(c.pending, tenant)
		}
	}, nil
}

// refresh asks the store unless the counts are younger than age. The caller
// holds the mutex.
func (c *queueCount) refresh(ctx context.Context, age time.Duration) error {
	if time.Since(c.at) < age {
		return nil
	}
	queued, err := c.e.store.Queue.Sizes(ctx)
	if err != nil {
		return err
	}
	c.at, c.queued = time.Now(), map[string]store.Queued{}
	for id, n := range queued {
		if tenant := c.e.functions.TenantOf(id); tenant != "" {
			c.queued[tenant] = plus(c.queued[tenant], n)
		}
	}
	return nil
}
