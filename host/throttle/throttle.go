// Package throttle bounds what others can make a program write: an initial
// burst for each key, then a steady rate.
package throttle

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys is how many keys are told apart. The others share one allowance.
const maxKeys = 1000

// Throttle decides what may be written. Safe for concurrent use.
type Throttle struct {
	rate  rate.Limit
	burst int

	mu   sync.Mutex // guards keys and their allowances
	keys map[string]*allowance
}

// allowance is what one key may write.
type allowance struct {
	*rate.Limiter
	dropped int
}

// New returns a throttle that allows each key burst units at once and perSecond
// of them in the long run.
func New(perSecond float64, burst int) *Throttle {
	return &Throttle{rate: rate.Limit(perSecond), burst: burst, keys: map[string]*allowance{}}
}

// Allow reports whether key may write n units now. If so, dropped is how often
// it was refused since it was last allowed. More than the burst counts as the
// burst.
func (t *Throttle) Allow(key string, n int) (ok bool, dropped int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	a := t.keys[key]
	if a == nil {
		if len(t.keys) >= maxKeys {
			t.forgetIdle(now)
		}
		if len(t.keys) >= maxKeys {
			key = ""
		}
		if a = t.keys[key]; a == nil {
			a = &allowance{Limiter: rate.NewLimiter(t.rate, t.burst)}
			t.keys[key] = a
		}
	}
	if !a.AllowN(now, min(n, t.burst)) {
		a.dropped++
		return false, 0
	}
	dropped, a.dropped = a.dropped, 0
	return true, dropped
}

// forgetIdle forgets keys with a full allowance. The caller holds the mutex.
func (t *Throttle) forgetIdle(now time.Time) {
	for key, a := range t.keys {
		if a.TokensAt(now) >= float64(t.burst) {
			delete(t.keys, key)
		}
	}
}
