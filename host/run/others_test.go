package run

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

func TestOthers_Leave(t *testing.T) {
	for _, c := range []struct {
		others      others
		asked, want catalog.Limits
	}{
		{others{}, catalog.Limits{Ready: 2, Instances: 5, Requests: 9}, catalog.Limits{Ready: 2, Instances: 5, Requests: 9}},
		{others{ready: true}, catalog.Limits{Ready: 2, Instances: 5}, catalog.Limits{Instances: 5}},
		{others{busy: 3, waiting: 4}, catalog.Limits{Instances: 5, Requests: 9}, catalog.Limits{Instances: 2, Requests: 2}},
		{others{busy: 9, waiting: 4}, catalog.Limits{Instances: 5, Requests: 9}, catalog.Limits{Instances: 1, Requests: 1}},
		{others{busy: 9}, catalog.Limits{Instances: 5}, catalog.Limits{Instances: 1}},
	} {
		if got := c.others.leave(c.asked); got != c.want {
			t.Errorf("%+v leave %+v of %+v, want %+v", c.others, got, c.asked, c.want)
		}
	}
}

// What others have of a version takes places away, down to one, and gives them back.
func TestShare_TakesPlacesAndGivesThemBack(t *testing.T) {
	bubble(t, testConfig{IdleTimeout: time.Hour}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 4, Timeout: time.Minute})
		home := true
		share := func(o others) others {
			own := h.Share(map[string][2]int{v.ID: {o.busy, o.waiting}}, func(string) bool { return home })[v.ID]
			synctest.Wait()
			return others{busy: own[0], waiting: own[1]}
		}
		want := func(when string, idle, live, waiting int) {
			t.Helper()
			if i, l, w := h.instances(v); i != idle || l != live || w != waiting {
				t.Errorf("%s: %d idle of %d, %d wait; want %d of %d, %d", when, i, l, w, idle, live, waiting)
			}
		}
		var calls []<-chan string
		begin := func(n int) {
			for range n {
				calls = append(calls, h.begin("f", "1s"))
			}
		}
		end := func() {
			for _, c := range calls {
				<-c
			}
			calls = nil
			synctest.Wait()
		}
		share(others{busy: 2})
		begin(3)
		want("with two elsewhere", 0, 2, 1)
		if own := share(others{busy: 2}); own != (others{busy: 2, waiting: 1}) {
			t.Errorf("others are told %+v", own)
		}
		share(others{})
		want("without", 0, 3, 0)
		begin(1)
		end()
		want("when all is over", 4, 4, 0)
		share(others{busy: 9})
		want("with more elsewhere than there may be", 1, 1, 0)
		begin(2)
		want("with more elsewhere than there may be", 0, 1, 1)
		end()
		if own := share(others{}); own != (others{}) {
			t.Errorf("others are told %+v", own)
		}
		h.SetLimits(v.ID, catalog.Limits{Instances: 1, Requests: 3})
		share(others{waiting: 2})
		begin(1)
		if _, err := h.raw("f", ""); err != fault.ErrBusy {
			t.Errorf("two requests elsewhere and one here: %v", err)
		}
		end()
	})
}

// Instances are kept ready at one home alone, and elsewhere when that is gone.
func TestShare_KeepsInstancesReadyAtHome(t *testing.T) {
	bubble(t, testConfig{IdleTimeout: time.Minute}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MinInstances: 2, MaxInstances: 5, Timeout: time.Minute})
		other := h.deploy("g", "", catalog.VersionSpec{MaxInstances: 5, Timeout: time.Minute})
		for i, home := range []bool{true, false, true} {
			h.Share(nil, func(function string) bool {
				if function == other.FunctionID {
					t.Error("it is asked for the home of a function that keeps nothing ready")
				}
				return home
			})
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			want := 0
			if home {
				want = 2
			}
			if _, live, _ := h.instances(v); live != want {
				t.Errorf("%s: %d instances, want %d", fmt.Sprint("change ", i), live, want)
			}
		}
	})
}
