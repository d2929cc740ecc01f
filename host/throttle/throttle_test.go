package throttle

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle_AllowsABurstAndThenARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := New(1, 3)
		for n := range 10 {
			if ok, _ := limit.Allow("a", 1); ok != (n < 3) {
				t.Errorf("%d: got %v", n, ok)
			}
		}
		if ok, dropped := limit.Allow("b", 100); !ok || dropped != 0 {
			t.Errorf("another: got %v, %d dropped", ok, dropped)
		}
		time.Sleep(time.Second)
		if ok, dropped := limit.Allow("a", 1); !ok || dropped != 7 {
			t.Errorf("a second later: got %v, %d dropped, want 7", ok, dropped)
		}
	})
}

func TestThrottle_RemembersFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := New(1, 1)
		allowed := 0
		for n := range 3 * maxKeys {
			if ok, _ := limit.Allow(fmt.Sprint(n), 1); ok {
				allowed++
			}
		}
		if len(limit.keys) > maxKeys+1 || allowed > maxKeys+1 {
			t.Errorf("%d keys, %d allowed", len(limit.keys), allowed)
		}
		time.Sleep(time.Second)
		if ok, _ := limit.Allow("new", 1); !ok || len(limit.keys) > 2 {
			t.Errorf("after a while: %v, %d keys", ok, len(limit.keys))
		}
	})
}
