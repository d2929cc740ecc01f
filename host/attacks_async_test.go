package host

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/store"
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
			for range 10_000 / scale {
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
				if _, err := h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{
					Name: "tick", Function: function, Cron: "* * * * * *", Payload: "tick",
				}); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "ticks", func() bool { return len(h.log("'payload': 'tick'")) >= 3 })
			h.cancelCalls()
		})
	}
}

// until waits until a call has logged something.
func (h *testHost) until(what, logged string) {
	h.t.Helper()
	until(h.t, what, func() bool { return len(h.log(logged)) > 0 })
}

// cancelCalls ends calls in progress, which Close would wait for.
func (h *testHost) cancelCalls() { h.events.stop() }

// A queue that others have filled has room for who has nothing in it.
func TestAsyncAttacks_ManyTenantsFillTheQueue(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), QueueBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h := newTestHost(t, Config{Store: s})
	h.events.hold() // so that nothing leaves the queue
	body := make([]byte, 100<<10)
	for n := range 8 {
		tenant := fmt.Sprint("bad-", n)
		h.createFor(tenant, "fun")
		h.version(tenant+"/fun", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
		queued := 0
		for ; ; queued++ {
			if _, err := h.InvokeAsync(t.Context(), access.Operator, run.Invocation{Function: tenant + "/fun", Body: body}); err != nil {
				wantError[*quota.Error](t, err, "asyncBytes")
				break
			}
		}
		if queued == 0 {
			t.Errorf("tenant %d: nothing was queued", n)
		}
	}
	h.createFor("good", "good")
	h.version("good/good", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
	h.async("good/good", "1")
}

// Dead letters of one tenant push out its own alone.
func TestAsyncAttacks_DeadLettersPushOutTheirOwn(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), QueueBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h := newTestHost(t, Config{Store: s})
	bury := func(tenant string, size int) {
		t.Helper()
		f, err := h.Catalog().Function(access.Operator, tenant+"/fun")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.events.letters.bury(t.Context(), store.Item{FunctionID: f.ID, Body: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tenant := range []string{"good", "bad", "worse"} {
		h.createFor(tenant, "fun")
	}
	for range 10 {
		bury("good", 100)
	}
	for range 15 {
		bury("bad", 3<<20)
		bury("worse", 1<<20)
	}
	letters, _, err := h.events.DeadLetters(t.Context(), member("good"), "", 0, "")
	if err != nil || len(letters) != 10 {
		t.Errorf("%d dead letters of the other tenant are left, %v, want 10", len(letters), err)
	}
	for tenant, least := range map[string]int{"bad": 1, "worse": 4} {
		letters, _, err := h.events.DeadLetters(t.Context(), member(tenant), "", 0, "")
		if err != nil || len(letters) < least {
			t.Errorf("%s has %d left, %v, want %d or more", tenant, len(letters), err, least)
		}
	}
}

// A page ends before it has more than can be held for a reader.
func TestDeadLetters_ComeInPages(t *testing.T) {
	h := storedHost(t)
	h.create("fun")
	f, err := h.Catalog().Function(access.Operator, "fun")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1010 {
		size := 1
		if n >= 1000 {
			size = 3 << 20
		}
		if _, err := h.cfg.Store.Letters.Add(t.Context(), store.Item{FunctionID: f.ID, Body: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	token, sizes := "", []int{}
	for {
		letters, next, err := h.events.DeadLetters(t.Context(), access.Operator, "fun", MaxPageSize, token)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(letters))
		if token = next; token == "" {
			break
		}
	}
	if got := fmt.Sprint(sizes); got != "[1000 6 4]" {
		t.Errorf("pages: %s", got)
	}
	_, _, err = h.events.DeadLetters(t.Context(), access.Operator, "fun", 0, "x")
	wantError[*fault.InvalidError](t, err, "pageToken")
}
