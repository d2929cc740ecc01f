package quota

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vivarium/host/fault"
)

func TestTable_SaysAllOfEachQuota(t *testing.T) {
	for q := range Count {
		if q.String() == "" || q.Unit() == "" || q.Bounds() == "" {
			t.Errorf("quota %d: %+v", q, table[q])
		}
		if got, ok := Of(q.String()); !ok || got != q {
			t.Errorf("%s is found as %d", q, got)
		}
		if Defaults()[q] == 0 && q != Memory {
			t.Errorf("%s has no default", q)
		}
	}
	if _, ok := Of("everything"); ok {
		t.Error("a quota that there is not is found")
	}
	if got := CodeBytes.Flag(); got != "code-bytes" {
		t.Errorf("got %s", got)
	}
}

func TestAmounts_AreWrittenByName(t *testing.T) {
	want := Amounts{Functions: 5, LogStreams: -1}
	text, err := json.Marshal(want)
	if err != nil || string(text) != `{"functions":5,"logStreams":-1}` {
		t.Fatalf("got %s, %v", text, err)
	}
	var got Amounts
	if err := json.Unmarshal([]byte(`{"functions":5,"logStreams":-1,"later":7}`), &got); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestLedger_HoldsTheLimitsUnderAHammer has many goroutines take and give in a
// ledger that is short of everything. No tenant, nor all of them together, may
// exceed their limits at any moment, and nothing may be left at the end.
func TestLedger_HoldsTheLimitsUnderAHammer(t *testing.T) {
	const own, machine = 3, 4
	var l *Ledger
	var spare atomic.Int64 // what Reclaim can free
	l = New(Config{
		Defaults: Amounts{Memory: own}, Machine: Amounts{Memory: machine},
		Reclaim: func(tenant string, _ Quota, _ bool) bool {
			if spare.Add(-1) < 0 {
				spare.Add(1)
				return false
			}
			l.Give(tenant, CodeTree, 1)
			return true
		},
	})
	var all sync.WaitGroup
	var held [2]atomic.Int64
	var taken atomic.Int64
	for n := range 8 {
		all.Go(func() {
			tenant := fmt.Sprint("tenant-", n%2)
			for round := range 20_000 {
				if round%50 == 0 { // others come and go, so that accounts are forgotten
					if release, err := l.Reserve(fmt.Sprint("other-", n, "-", round), Call, 1); err == nil {
						release()
					}
				}
				kind := []Kind{Body, LogBuffer}[round%2]
				release, err := l.Reserve(tenant, kind, 1)
				if err != nil {
					if e, ok := errors.AsType[*Error](err); !ok && err != fault.ErrExhausted || ok && *e != (Error{tenant, Memory, own}) {
						t.Errorf("got %v", err)
						return
					}
					continue
				}
				taken.Add(1)
				mine := held[n%2].Add(1)
				if sum := held[0].Load() + held[1].Load(); mine > own || sum > machine+own { // the two are not read atomically
					t.Errorf("%d are held, %d by all", mine, sum)
				}
				held[n%2].Add(-1)
				release()
				release() // has no effect
			}
		})
	}
	all.Wait()
	if taken.Load() == 0 {
		t.Error("nobody got anything")
	}
	for tenant, s := range l.States() {
		if s.Use != (Amounts{}) {
			t.Errorf("%s has %v left", tenant, s.Use)
		}
	}
	for k := range kindQuotas {
		if n := l.Held(k); n != 0 {
			t.Errorf("of %s, %d are left", k, n)
		}
	}
	if n := l.Total(Memory); n != 0 || len(l.States()) > maxAccounts+16 {
		t.Errorf("%d are left in all, in %d accounts", n, len(l.States()))
	}
}

func TestLedger_ReclaimsBeforeItRefuses(t *testing.T) {
	var l *Ledger
	var asked []string
	l = New(Config{Defaults: Amounts{Memory: 10}, Machine: Amounts{Memory: 15}, Reclaim: func(tenant string, q Quota, own bool) bool {
		asked = append(asked, fmt.Sprint(tenant, " ", q, " ", own))
		if len(asked) > 2 {
			return false
		}
		l.Give(tenant, CodeTree, 4) // held only because it may be needed again
		return true
	}})
	for _, step := range []struct {
		tenant string
		n      int64
		want   string
	}{
		{"a", 8, ""},
		{"a", 6, "a memory true"},
		{"b", 5, ""},
		{"b", 4, "b memory false"},
		{"b", 4, "b memory false"},
		{"a", 1, "a memory true"},
	} {
		asked = asked[:min(len(asked), 2)]
		before := len(asked)
		err := l.Take(step.tenant, CodeTree, step.n)
		if got := strings.Join(asked[before:], ", "); got != step.want {
			t.Errorf("%s takes %d: asked %q, want %q; %v", step.tenant, step.n, got, step.want, err)
		}
	}
	if use := l.Users(Memory); use["a"] != 10 || use["b"] != 5 {
		t.Errorf("got %v", use)
	}
}

func TestLedger_LimitsOfOnesOwn(t *testing.T) {
	l := New(Config{Defaults: Amounts{Calls: 1}})
	if err := l.Take("a", Call, 1); err != nil {
		t.Fatal(err)
	}
	want := Error{Tenant: "a", Quota: Calls, Limit: 1}
	if e, ok := errors.AsType[*Error](l.Take("a", Call, 1)); !ok || *e != want || e.Reason() != "Concurrent requests quota 1 exceeded" {
		t.Errorf("got %v, want %v", e, &want)
	}
	l.SetOwn("a", Amounts{Calls: 2})
	if err := l.Take("a", Call, 1); err != nil || l.Limit("a", Calls) != 2 || l.Limit("b", Calls) != 1 {
		t.Errorf("got %v, limits %d and %d", err, l.Limit("a", Calls), l.Limit("b", Calls))
	}
	l.SetOwn("a", Amounts{Calls: -1})
	if err := l.Take("a", Call, 1000); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	l.SetOwn("a", Amounts{})
	if err := l.Take("a", Call, 1); err == nil || l.State("a").Exceeded[Calls] != 2 || l.State("a").Use[Calls] != 1002 {
		t.Errorf("got %v, %+v", err, l.State("a"))
	}
	if err := l.Check("b", LogBytes, 1<<40, 1); err != nil {
		t.Errorf("of what has no default: %v", err)
	}
	if err := l.Check("b", Calls, 1, 1); err == nil {
		t.Error("more than the limit passes the check")
	}
}

// What a tenant has on other nodes counts, as long as it is said to be there.
func TestLedger_CountsWhatIsElsewhere(t *testing.T) {
	l := New(Config{Defaults: Amounts{Calls: 4, Instances: -1, Memory: 10}})
	take := func(want int) {
		t.Helper()
		got := 0
		for ; got < 20 && l.Take("a", Call, 1) == nil; got++ {
			if l.Take("b", Call, 1) == nil { // it is another tenant's limit
				l.Give("b", Call, 1)
			} else {
				t.Error("tenant b is refused what tenant a has elsewhere")
			}
		}
		if got != want {
			t.Errorf("got %d calls, want %d", got, want)
		}
		l.Give("a", Call, int64(got))
	}
	for _, c := range []struct {
		there int64
		want  int
	}{{0, 4}, {1, 3}, {4, 0}, {100, 0}} {
		l.SetElsewhere(map[string]Amounts{"a": {Calls: c.there, Instances: c.there, Memory: c.there}})
		take(c.want)
		if err := l.Take("a", Instance, 1); err != nil {
			t.Errorf("a tenant without a limit: %v", err)
		}
		l.Give("a", Instance, 1)
	}
	l.SetElsewhere(nil)
	take(4)
	if err := l.Take("a", Call, 3); err != nil {
		t.Fatal(err)
	}
	if err := l.Take("a", Instance, 5); err != nil {
		t.Fatal(err)
	}
	if got, want := l.Shared(), (Amounts{Calls: 3, Instances: 3}); len(got) != 1 || got["a"] != want {
		t.Errorf("shared is %v, want %v of a alone", got, want)
	}
}
