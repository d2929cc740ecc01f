package run

import (
	"errors"
	"fmt"
	"testing"

	"vivarium/host/fault"
	"vivarium/host/quota"
)

func TestReserveInstance_TakesNothingWhenItRefuses(t *testing.T) {
	h := newTestHost(t, testConfig{MaxMemory: 3 << 20, Quotas: quota.Amounts{quota.Memory: 5 << 20, quota.Instances: 1}})
	release, err := h.room.ledger.Reserve("a", quota.CodeTree, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.room.reserveInstance("a"); err != fault.ErrExhausted {
		t.Errorf("an instance more than the machine has: got %v", err)
	}
	release()
	if err := h.room.reserveInstance("a"); err != nil {
		t.Fatal(err)
	}
	err = h.room.reserveInstance("a")
	if full, ok := errors.AsType[*quota.Error](err); !ok || full.Quota != quota.Instances {
		t.Errorf("an instance more than the tenant may have: got %v", err)
	}
	h.room.releaseInstance("a")
	if left := h.room.ledger.State("a").Use; left != (quota.Amounts{}) || h.room.ledger.Total(quota.Memory) != 0 {
		t.Errorf("%v are left, %d of the machine's", left, h.room.ledger.Total(quota.Memory))
	}
}

func TestShelf_GivesTheLongestUnusedOfWhoHasMost(t *testing.T) {
	var s shelf[string]
	s.put("a", "a1")
	s.put("a", "a2")
	s.put("b", "b1")
	s.put("a", "a1") // is now the one that was used last
	for _, c := range []struct {
		weights map[string]int64
		want    string
	}{
		{map[string]int64{"a": 1, "b": 0}, "a2"},
		{map[string]int64{"a": 1, "b": 2}, "b1"},
		{map[string]int64{"a": 0}, "a2"},
		{map[string]int64{"c": 5}, ""},
	} {
		got, ok := s.oldest(func(tenant string) (int64, bool) {
			n, allowed := c.weights[tenant]
			return n, allowed
		})
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%v: got %q, %v, want %q", c.weights, got, ok, c.want)
		}
	}
	for _, thing := range []string{"b1", "a2", "a2", "a1"} {
		s.remove(thing)
	}
	if len(s.tenants)+len(s.places) != 0 {
		t.Errorf("left: %v, %v", s.tenants, s.places)
	}
}

// BenchmarkRoom_Evict finds what to let go of among 10,000 versions, of which each has
// an idle instance, when the machine is full.
func BenchmarkRoom_Evict(b *testing.B) {
	const versions = 10_000
	for _, tenants := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			r := room{ledger: quota.New(quota.Config{Machine: quota.Amounts{quota.Memory: versions * instanceMemory}})}
			for n := range versions {
				tenant := fmt.Sprint(n % tenants)
				r.idle.put(tenant, &instance{})
				if err := r.ledger.Take(tenant, quota.OwnMemory, instanceMemory); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				in, ok := r.idle.oldest(r.weigh("0", quota.Memory, false))
				if !ok {
					b.Fatal("nothing is found")
				}
				r.idle.put("", in)
			}
		})
	}
}
