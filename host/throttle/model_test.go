package throttle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestThrottle_IsABucketForEachKey compares a throttle with buckets that are filled by
// hand, in pretended time.
func TestThrottle_IsABucketForEachKey(t *testing.T) {
	type bucket struct {
		tokens  float64
		at      time.Time
		dropped int
	}
	const perSecond, burst = 4, 6 // quarters of a second: no rounding
	synctest.Test(t, func(t *testing.T) {
		limit, model := New(perSecond, burst), map[string]*bucket{}
		for step := range 5_000 {
			key := fmt.Sprint(rand.IntN(5))
			b := model[key]
			if b == nil {
				b = &bucket{tokens: burst, at: time.Now()}
				model[key] = b
			}
			b.tokens = min(burst, b.tokens+time.Since(b.at).Seconds()*perSecond)
			b.at = time.Now()
			n := rand.IntN(2 * burst)
			want, wantDropped := float64(min(n, burst)) <= b.tokens, 0
			if want {
				b.tokens -= float64(min(n, burst))
				wantDropped, b.dropped = b.dropped, 0
			} else {
				b.dropped++
			}
			if ok, dropped := limit.Allow(key, n); ok != want || dropped != wantDropped {
				t.Fatalf("step %d, %s, %d: got %v, %d, want %v, %d", step, key, n, ok, dropped, want, wantDropped)
			}
			time.Sleep(time.Duration(rand.IntN(4)) * time.Second / perSecond)
		}
	})
}

// TestThrottle_Hammer takes from many goroutines in one moment, and then in the next
// ones: neither a key nor all together get more than the rate, and each refusal is told
// of once.
func TestThrottle_Hammer(t *testing.T) {
	const perSecond, burst, seconds, keys = 10, 20, 5, 3
	synctest.Test(t, func(t *testing.T) {
		limit := New(perSecond, burst)
		var allowed, told, refused [keys]atomic.Int64
		var all sync.WaitGroup
		for n := range 9 {
			all.Go(func() {
				for range seconds + 1 {
					for range 50 {
						if ok, dropped := limit.Allow(strings.Repeat("k", 1+n%keys), 1); ok {
							allowed[n%keys].Add(1)
							told[n%keys].Add(int64(dropped))
						} else {
							refused[n%keys].Add(1)
						}
					}
					time.Sleep(time.Second)
				}
			})
		}
		all.Wait()
		for key := range keys {
			if got, want := allowed[key].Load(), int64(burst+seconds*perSecond); got != want {
				t.Errorf("%d are allowed, want %d", got, want)
			}
			if ok, dropped := limit.Allow(strings.Repeat("k", 1+key), 1); !ok {
				t.Error("it is not allowed later")
			} else if got, want := told[key].Load()+int64(dropped), refused[key].Load(); got != want {
				t.Errorf("%d of %d refusals are told", got, want)
			}
		}
	})
}

// Those for whom there is no place share one allowance, and take nothing from those who
// have a place.
func TestThrottle_StrangersShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := New(1, 2)
		for n := range maxKeys {
			if ok, _ := limit.Allow(fmt.Sprint("known", n), 1); !ok {
				t.Fatal("the first is refused")
			}
		}
		allowed := 0
		for n := range 100 {
			if ok, _ := limit.Allow(fmt.Sprint("stranger", n), 1); ok {
				allowed++
			}
		}
		if allowed != 2 {
			t.Errorf("%d strangers are allowed, want 2", allowed)
		}
		for n := range maxKeys {
			if ok, _ := limit.Allow(fmt.Sprint("known", n), 1); !ok {
				t.Fatal("strangers took what is of one who is known")
			}
		}
		time.Sleep(3 * time.Second)
		if ok, dropped := limit.Allow("stranger", 2); !ok || dropped != 0 {
			t.Errorf("when there is a place again: %v, %d dropped", ok, dropped)
		}
	})
}
