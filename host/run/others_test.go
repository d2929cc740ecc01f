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
		others      Others
		asked, want catalog.Limits
	}{
		{Others{}, catalog.Limits{Ready: 2, Instances: 5, Requests: 9}, catalog.Limits{Ready: 2, Instances: 5, Requests: 9}},
		{Others{Ready: true}, catalog.Limits{Ready: 2, Instances: 5}, catalog.Limits{Instances: 5}},
		{Others{Busy: 3, Waiting: 4}, catalog.Limits{Instances: 5, Requests: 9}, catalog.Limits{Instances: 2, Requests: 2}},
		{Others{Busy: 9, Waiting: 4}, catalog.Limits{Instances: 5, Requests: 9}, catalog.Limits{Instances: 1, Requests: 1}},
		{Others{Busy: 9}, catalog.Limits{Instances: 5}, catalog.Limits{Instances: 1}},
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
		share := func(o Others) Others {
			own := h.Share(map[string]Others{v.ID: o}, func(string) bool { return home })
			synctest.Wait()
			return own[v.ID]
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
		share(Others{Busy: 2})
		begin(3)
		want("with two elsewhere", 0, 2, 1)
		if own := share(Others{Busy: 2}); own != (Others{Busy: 2, Waiting: 1}) {
			t.Errorf("others are told %+v", own)
		}
		share(Others{})
		want("without", 0, 3, 0)
		begin(1)
		end()
		want("when all is over", 4, 4, 0)
		share(Others{Busy: 9})
		want("with more elsewhere than there may be", 1, 1, 0)
		begin(2)
		want("with more elsewhere than there may be", 0, 1, 1)
		end()
		if own := share(Others{}); own != (Others{}) {
			t.Errorf("others are told %+v", own)
		}
		h.SetLimits(v.ID, catalog.Limits{Instances: 1, Requests: 3})
		share(Others{Waiting: 2})
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
