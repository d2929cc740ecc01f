package host

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/roomtest"
)

// TestAsyncAttacks lets one tenant queue what it may, so that another one's
// calls and ticks would have to wait. -attacks.all makes it the full quotas.
func TestAsyncAttacks(t *testing.T) {
	scale := 10
	if *allAttacks {
		scale = 1
	}
	const sleeping = "import time\ndef handler(event, context): time.sleep(3000)\n"
	spec := catalog.VersionSpec{Timeout: time.Hour, Async: &catalog.AsyncConfig{}}
	for name, attack := range map[string]func(h *testHost){
		"places are taken by calls that sleep": func(h *testHost) {
			for n := range 1 + 40/scale {
				function := fmt.Sprint("bad/bad-", n)
				h.createFor("bad", fmt.Sprint("bad-", n))
				h.version(function, sleeping, spec)
				for range 10 {
					h.async(function, "1")
				}
			}
		},
		"the line is full of calls that wait": func(h *testHost) {
			h.createFor("bad", "bad-0")
			h.version("bad/bad-0", sleeping, spec)
			for range 9_900 / scale { // so that the tenant has some of its quota left
				h.async("bad/bad-0", "1")
			}
		},
		"the line is full of calls that are tried again": func(h *testHost) {
			h.createFor("bad", "bad-0")
			h.version("bad/bad-0", "def handler(event, context): 1 / 0\n", catalog.VersionSpec{Async: &catalog.AsyncConfig{Retries: 100}})
			for range 5000 / scale {
				h.async("bad/bad-0", "1")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			t.Cleanup(s.Close)
			h := newTestHost(t, Config{Store: s})
			t.Cleanup(h.Events().Close) // which cancels calls in progress; the host would wait for them
			h.createFor("good", "good")
			h.version("good/good", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}, Timeout: time.Minute})
			h.async("good/good", "0")
			h.until("a call before", "got 0")
			attack(h)
			// Of those who are attacked, the attacker's other function is one, too.
			h.createFor("bad", "bystander")
			h.version("bad/bystander", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}, Timeout: time.Minute})
			for n := 1; n <= 3; n++ {
				for _, function := range []string{"good/good", "bad/bystander"} {
					event := fmt.Sprintf("'%s %d'", function, n)
					h.async(function, strings.ReplaceAll(event, "'", `"`))
					h.until("a call of "+function, "got "+strings.Trim(event, "'"))
				}
			}
			for _, function := range []string{"good/good", "bad/bad-0"} {
				if _, err := h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{
					Name: "tick", Function: function, Cron: "* * * * * *", Payload: "tick",
				}); err != nil {
					t.Fatal(err)
				}
			}
			roomtest.Until(t, "ticks", func() bool { return len(h.log("'payload': 'tick'")) >= 3 })
		})
	}
}

// until waits until a call has logged something.
func (h *testHost) until(what, logged string) {
	h.t.Helper()
	roomtest.Until(h.t, what, func() bool { return len(h.log(logged)) > 0 })
}
