package quota

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vivarium/host/fault"
)

// books are a ledger that is kept by hand.
type books struct {
	defaults, machine Amounts
	own               map[string]Amounts
	used, exceeded    map[string]*Amounts
	held              map[Kind]int64
}

func (b *books) of(in map[string]*Amounts, tenant string) *Amounts {
	if in[tenant] == nil {
		in[tenant] = &Amounts{}
	}
	return in[tenant]
}

// limit returns what a tenant may have, negative for any amount.
func (b *books) limit(tenant string, q Quota) int64 {
	switch own, standard := b.own[tenant][q], b.defaults[q]; {
	case own != 0:
		return own
	case standard != 0:
		return standard
	}
	return -1
}

func (b *books) total(q Quota) (n int64) {
	for _, used := range b.used {
		n += used[q]
	}
	return n
}

// take returns the kind of error that taking has, fault.Internal for none.
func (b *books) take(tenant string, k Kind, n int64) fault.Kind {
	q := k.Quota()
	used := b.of(b.used, tenant)
	switch limit := b.limit(tenant, q); {
	case limit > 0 && n > limit-used[q]:
		b.of(b.exceeded, tenant)[q]++
		return fault.OverQuota
	case b.machine[q] > 0 && n > b.machine[q]-b.total(q):
		return fault.Exhausted
	}
	used[q] += n
	b.held[k] += n
	return fault.Internal
}

func (b *books) give(tenant string, k Kind, n int64) {
	b.of(b.used, tenant)[k.Quota()] -= n
	b.held[k] -= n
}

// TestLedger_IsTheSumOfWhatIsTaken does at random what can be done to a ledger, and to
// one that is kept by hand.
func TestLedger_IsTheSumOfWhatIsTaken(t *testing.T) {
	b := &books{
		defaults: Amounts{Memory: 30, Calls: 5, Instances: -1}, machine: Amounts{Memory: 70, Instances: 12},
		own: map[string]Amounts{}, used: map[string]*Amounts{}, exceeded: map[string]*Amounts{}, held: map[Kind]int64{},
	}
	l := New(Config{Defaults: b.defaults, Machine: b.machine})
	type thing struct {
		tenant string
		k      Kind
		n      int64
		give   func()
	}
	var things []thing
	kinds := slices.Collect(maps.Keys(kindQuotas))
	for step := range 8_000 {
		tenant, k := fmt.Sprint("tenant", rand.IntN(4)), kinds[rand.IntN(len(kinds))]
		switch n := rand.Int64N(12); rand.IntN(12) {
		case 0, 1, 2, 3: // a little, or all too much
			if q := k.Quota(); rand.IntN(50) == 0 && (q == Memory || q == Instances) { // which are bounded
				n = math.MaxInt64 - n
			}
			release := func() { l.Give(tenant, k, n) }
			var err error
			if rand.IntN(2) == 0 {
				err = l.Take(tenant, k, n)
			} else {
				release, err = l.Reserve(tenant, k, n)
			}
			if want := b.take(tenant, k, n); fault.Of(err) != want || (err == nil) != (want == fault.Internal) {
				t.Fatalf("step %d: %s takes %d of %s: got %v, want kind %d", step, tenant, n, k, err, want)
			}
			if e, ok := errors.AsType[*Error](err); ok && *e != (Error{tenant, k.Quota(), b.limit(tenant, k.Quota())}) {
				t.Fatalf("step %d: got %+v", step, e)
			}
			if err == nil {
				things = append(things, thing{tenant, k, n, release})
			}
		case 4, 5, 6, 7, 8:
			if len(things) == 0 {
				break
			}
			at := rand.IntN(len(things))
			x := things[at]
			things[at] = things[len(things)-1]
			things = things[:len(things)-1]
			x.give()
			b.give(x.tenant, x.k, x.n)
		case 9:
			own := Amounts{}
			if rand.IntN(3) > 0 {
				own = Amounts{Memory: rand.Int64N(80) - 1, Calls: rand.Int64N(12) - 1}
			}
			l.SetOwn(tenant, own)
			if b.own[tenant] = own; own == (Amounts{}) {
				delete(b.own, tenant)
			}
		case 10:
			q, used := Quota(rand.IntN(int(Count))), rand.Int64N(40)
			limit := b.limit(tenant, q)
			refused := limit >= 0 && used+n > limit
			if err := l.Check(tenant, q, used, n); (err != nil) != refused {
				t.Fatalf("step %d: %s has %d of %s and wants %d: got %v", step, tenant, used, q, n, err)
			}
			if refused {
				b.of(b.exceeded, tenant)[q]++
			}
		case 11:
			q := Quota(rand.IntN(int(Count)))
			users := map[string]int64{}
			for tenant, used := range b.used {
				if used[q] > 0 {
					users[tenant] = used[q]
				}
			}
			if got := l.Users(q); !maps.Equal(got, users) || l.Total(q) != b.total(q) || l.Machine(q) != b.machine[q] {
				t.Fatalf("step %d: %s: got %v, %d, want %v", step, q, got, l.Total(q), users)
			}
		}
		s, used, exceeded := l.State(tenant), b.of(b.used, tenant), b.of(b.exceeded, tenant)
		for q := range Count {
			if s.Use[q] != used[q] || s.Exceeded[q] != exceeded[q] || s.Limits[q] != b.limit(tenant, q) ||
				l.Limit(tenant, q) != s.Limits[q] {
				t.Fatalf("step %d: %s of %s: got %d used, %d refused, limit %d, want %d, %d, %d", step, q, tenant,
					s.Use[q], s.Exceeded[q], s.Limits[q], used[q], exceeded[q], b.limit(tenant, q))
			}
		}
		if l.Own(tenant) != b.own[tenant] || l.Held(k) != b.held[k] {
			t.Fatalf("step %d: got %v, %d held, want %v, %d", step, l.Own(tenant), l.Held(k), b.own[tenant], b.held[k])
		}
	}
}

// What can never be is refused at once: nothing that is of use to others is freed for
// it.
func TestLedger_FreesNothingForWhatCanNeverBe(t *testing.T) {
	freed := 0
	l := New(Config{
		Defaults: Amounts{Memory: 10}, Machine: Amounts{Memory: 20},
		Reclaim: func(string, Quota, bool) bool { freed++; return freed < 100 },
	})
	l.SetOwn("large", Amounts{Memory: -1})
	for _, n := range []int64{21, 100, math.MaxInt64} {
		for range 2 { // the second time with something held already
			own, all := l.Take("a", Body, n-10), l.Take("large", Body, n)
			if fault.Of(own) != fault.OverQuota || all != fault.ErrExhausted || freed != 0 {
				t.Errorf("%d of 10: got %v; %d of 20: got %v; %d things were freed", n-10, own, n, all, freed)
			}
			if err := l.Take("a", OwnMemory, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Take("a", Body, 10); fault.Of(err) != fault.OverQuota || freed != 100 {
		t.Errorf("what may be: got %v, and %d things were freed", err, freed)
	}
	if got := l.State("a"); got.Use[Memory] != 6 || l.Total(Memory) != 6 {
		t.Errorf("%d are used, %d of all", got.Use[Memory], l.Total(Memory))
	}
}

// No amount is so large that it counts as little.
func TestLedger_LargeNumbersDoNotWrap(t *testing.T) {
	l := New(Config{Defaults: Amounts{Memory: 10}, Machine: Amounts{Instances: 10}})
	if err := errors.Join(l.Take("a", Body, 1), l.Take("a", Instance, 1)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - 10} {
		if l.Take("a", Body, n) == nil || l.Take("a", Instance, n) == nil || l.Check("a", Memory, 1, n) == nil || l.Check("a", Memory, n, n) == nil {
			t.Errorf("%d fits into 10", n)
		}
	}
	if l.Total(Memory) != 1 || l.Total(Instances) != 1 {
		t.Errorf("got %d and %d", l.Total(Memory), l.Total(Instances))
	}
}

// TestLedger_ReclaimHammer takes and gives in many sizes while what idles is taken away,
// and looks all the time whether somebody has more than they may. Each refusal counts,
// and nothing is left.
func TestLedger_ReclaimHammer(t *testing.T) {
	const own, machine, tenants, workers = 40, 90, 4, 8
	var l *Ledger
	var idle [tenants]atomic.Int64 // what each keeps because it may be of use
	free := func(n int) bool {
		if idle[n].Add(-1) < 0 {
			idle[n].Add(1)
			return false
		}
		l.Give(fmt.Sprint(n), CodeTree, 1)
		return true
	}
	var reclaimed atomic.Int64
	l = New(Config{
		Defaults: Amounts{Memory: own}, Machine: Amounts{Memory: machine},
		Reclaim: func(tenant string, q Quota, mine bool) bool {
			if q != Memory {
				return false
			}
			reclaimed.Add(1)
			if mine {
				return free(int(tenant[0] - '0'))
			}
			for n := range tenants {
				if free(n) {
					return true
				}
			}
			return false
		},
	})
	var refused [tenants]atomic.Int64
	var all, watchers sync.WaitGroup
	stop := make(chan struct{})
	watchers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n := l.Total(Memory); n > machine || n < 0 {
				t.Errorf("all have %d", n)
			}
			for tenant, s := range l.States() {
				if n := s.Use[Memory]; n > own || n < 0 {
					t.Errorf("%s has %d", tenant, n)
				}
			}
		}
	})
	for worker := range workers {
		all.Go(func() {
			n := worker % tenants
			tenant := fmt.Sprint(n)
			for range 1_000 {
				size := 1 + rand.Int64N(own+5)
				release, err := l.Reserve(tenant, []Kind{Body, OwnMemory, LogBuffer}[rand.IntN(3)], size)
				if err == nil {
					if size > own {
						t.Errorf("%s has taken %d", tenant, size)
					}
					release()
					if err = l.Take(tenant, CodeTree, 1); err == nil {
						idle[n].Add(1)
					}
				}
				switch {
				case fault.Of(err) == fault.OverQuota:
					refused[n].Add(1)
				case err != nil && err != fault.ErrExhausted:
					t.Errorf("got %v", err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	watchers.Wait()
	if reclaimed.Load() == 0 {
		t.Error("nothing was reclaimed")
	}
	for n := range tenants {
		for free(n) {
		}
		if got, want := l.State(fmt.Sprint(n)).Exceeded[Memory], refused[n].Load(); got != want {
			t.Errorf("%d refusals of %d count", got, want)
		}
	}
	for tenant, s := range l.States() {
		if s.Use != (Amounts{}) {
			t.Errorf("%s has %v left", tenant, s.Use)
		}
	}
	for k := range kindQuotas {
		if n := l.Held(k); n != 0 {
			t.Errorf("%d of %s are left", n, k)
		}
	}
}

func TestError_SaysWhatHelps(t *testing.T) {
	for q := range Count {
		err := error(&Error{Tenant: "acme", Quota: q, Limit: 7})
		for _, part := range []string{"acme", q.String(), "7", "--" + q.Flag() + " N", table[q].cure} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", q, err, part)
			}
		}
		if fault.Of(fmt.Errorf("x: %w", err)) != fault.OverQuota || q.Flag() != strings.ToLower(q.Flag()) {
			t.Errorf("%s: kind %d, flag %s", q, fault.Of(err), q.Flag())
		}
		if reason := (&Error{Quota: q, Limit: 7}).Reason(); !strings.HasPrefix(reason, "Concurrent ") || !strings.HasSuffix(reason, " quota 7 exceeded") {
			t.Errorf("%s: %q", q, reason)
		}
	}
	for k := range kindQuotas {
		if q := k.Quota(); q < 0 || q >= Count {
			t.Errorf("%s counts against %d", k, q)
		}
	}
}

func TestAmounts_Or(t *testing.T) {
	for _, c := range [][3]int64{{0, 0, 0}, {0, 5, 5}, {3, 5, 3}, {-1, 5, -1}, {0, -1, -1}, {3, 0, 3}} {
		if got := (Amounts{Timers: c[0]}).Or(Amounts{Timers: c[1]}); got != (Amounts{Timers: c[2]}) {
			t.Errorf("%d or %d: got %v", c[0], c[1], got)
		}
	}
}

func FuzzAmounts(f *testing.F) {
	f.Add([]byte(`{"functions":5,"logStreams":-1}`))
	f.Add([]byte(`{"codeBytes":9223372036854775807,"unknown":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a, again Amounts
		if json.Unmarshal(text, &a) != nil {
			return
		}
		written, err := json.Marshal(a)
		if err != nil || json.Unmarshal(written, &again) != nil || again != a {
			t.Errorf("%s: %v, written as %s, is read as %v, %v", text, a, written, again, err)
		}
	})
}
