package manage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"vivarium/host/fault"
)

func TestUploads_OneOfEachAndFewInAll(t *testing.T) {
	u := newUploads()
	var each [8]atomic.Int64
	var inAll atomic.Int64
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			who := g % len(each)
			give, err := u.Reserve(t.Context(), fmt.Sprint(who))
			if err != nil {
				t.Error(err)
				return
			}
			if n, m := each[who].Add(1), inAll.Add(1); n > 1 || m > maxUploads {
				t.Errorf("%d of one, %d in all", n, m)
			}
			each[who].Add(-1)
			inAll.Add(-1)
			give()
		})
	}
	all.Wait()
	if len(u.each.places) != 0 || len(u.all) != 0 {
		t.Errorf("%d uploaders and %d places are left", len(u.each.places), len(u.all))
	}
}

func TestUploads_ASlowOneHoldsUpItsOwnAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUploads()
		slow, err := u.Reserve(t.Context(), "slow")
		if err != nil {
			t.Fatal(err)
		}
		give, err := u.Reserve(t.Context(), "another")
		if err != nil {
			t.Errorf("another: %v", err)
		}
		give()
		_, err = u.Reserve(t.Context(), "slow")
		if fault.Of(err) != fault.OverQuota {
			t.Errorf("its second: got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := u.Reserve(ctx, "slow"); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: got %v", err)
		}
		slow()
		if len(u.each.places) != 0 || len(u.all) != 0 {
			t.Errorf("%d uploaders and %d places are left", len(u.each.places), len(u.all))
		}
	})
}
