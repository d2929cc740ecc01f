package manage

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLine_HasOnePlaceForEach(t *testing.T) {
	var l line
	var inside [4]atomic.Int64
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			who := g % len(inside)
			leave, err := l.enter(t.Context(), string(rune('a'+who)))
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside[who].Add(1); n > 1 {
				t.Errorf("%d of one are inside", n)
			}
			inside[who].Add(-1)
			leave()
		})
	}
	all.Wait()
	leave, err := l.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.enter(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("who left: got %v", err)
	}
	leave()
	if len(l.places) != 0 {
		t.Errorf("%d places are left", len(l.places))
	}
}
