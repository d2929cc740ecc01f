package placement

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// some returns n members, of which each has the capacity 2.
func some(n int) (members []Member) {
	for i := range n {
		members = append(members, Member{ID: fmt.Sprintf("10.0.0.%d:7400", i), Capacity: 2})
	}
	return members
}

func idle(int) State { return State{} }

func TestTable_HomesAreTheSameWhateverTheOrderOfMembers(t *testing.T) {
	members := some(9)
	a := NewTable(members)
	slices.Reverse(members)
	b := NewTable(members)
	for i := range 1000 {
		function := fmt.Sprint("function", i)
		one, other := a.Homes(function), b.Homes(function)
		if len(one) != Homes || !slices.Equal(one, other) {
			t.Fatalf("%s has the homes %v and %v", function, one, other)
		}
		if one[0] == one[1] || one[1] == one[2] || one[0] == one[2] {
			t.Fatalf("%s has a home twice: %v", function, one)
		}
	}
}

func TestTable_HomesAreInProportionToCapacity(t *testing.T) {
	members := some(4)
	members[3].Capacity = 6 // of 12
	table := NewTable(members)
	const functions = 20_000
	first := make([]int, 4)
	for i := range functions {
		first[table.Homes(fmt.Sprint("function", i))[0]]++
	}
	for i, m := range table.Members() {
		want := functions * float64(m.Capacity) / 12
		if math.Abs(float64(first[i])-want) > want/15 {
			t.Errorf("%s, with the capacity %d, is the first home of %d functions; want some %.0f", m.ID, m.Capacity, first[i], want)
		}
	}
}

// Who is next to be a home comes next, and nobody is missing.
func TestTable_RankedBeginsWithHomes(t *testing.T) {
	members := some(9)
	for i := range 100 {
		function := fmt.Sprint("function", i)
		left, table := slices.Clone(members), NewTable(members)
		ranked := table.Ranked(function)
		if len(ranked) != len(members) || !slices.Equal(ranked[:Homes], table.Homes(function)) {
			t.Fatalf("%s: %v, its homes are %v", function, ranked, table.Homes(function))
		}
		for _, at := range ranked {
			rest := NewTable(left)
			id := table.Members()[at].ID
			if first := rest.Members()[rest.Homes(function)[0]].ID; first != id {
				t.Fatalf("%s: %s comes next, want %s", function, id, first)
			}
			left = slices.DeleteFunc(left, func(m Member) bool { return m.ID == id })
		}
	}
}

// A member that leaves has its functions move to their second home, and nothing else moves.
func TestTable_WhoLeavesMovesOnlyItsFunctions(t *testing.T) {
	all, fewer := NewTable(some(10)), NewTable(some(9))
	moved := 0
	for i := range 10_000 {
		function := fmt.Sprint("function", i)
		homes := all.Homes(function)
		want := homes[0]
		if want == 9 {
			moved++
			want = homes[1]
		}
		if got := fewer.Homes(function)[0]; got != want {
			t.Fatalf("%s moved from %d to %d", function, want, got)
		}
	}
	if moved < 800 || moved > 1200 {
		t.Errorf("%d of 10000 functions moved", moved)
	}
}

func TestTable_RouteEndsAtSelf(t *testing.T) {
	table := NewTable(some(6))
	homes := table.Homes("f")
	for at, self := range homes {
		if got := table.Route("f", self, idle); !slices.Equal(got, homes[:at]) {
			t.Errorf("from home %d: %v, want %v", at, got, homes[:at])
		}
	}
	for self := -1; self < 6; self++ {
		if !slices.Contains(homes, self) {
			if got := table.Route("f", self, idle); !slices.Equal(got, homes) {
				t.Errorf("from elsewhere: %v, want %v", got, homes)
			}
		}
	}
}

func TestTable_RoutePassesOverWhoIsAwayOrHasTooMuch(t *testing.T) {
	table := NewTable(some(6))
	homes := table.Homes("f")
	with := func(states map[int]State) func(int) State { return func(i int) State { return states[i] } }
	for _, c := range []struct {
		what   string
		self   int
		states map[int]State
		want   []int
	}{
		{"away", -1, map[int]State{homes[0]: {Away: true}}, homes[1:]},
		{"all away", -1, map[int]State{homes[0]: {Away: true}, homes[1]: {Away: true}, homes[2]: {Away: true}}, nil},
		{"more than its share", -1, map[int]State{homes[1]: {Load: 2 * Slack}}, []int{homes[0], homes[2]}},
		{"within its slack", -1, map[int]State{homes[1]: {Load: 2*Slack - 1}}, homes},
		{"all have as much", -1, map[int]State{0: {Load: 99}, 1: {Load: 99}, 2: {Load: 99}, 3: {Load: 99}, 4: {Load: 99}, 5: {Load: 99}}, homes},
		{"self has too much", homes[0], map[int]State{homes[0]: {Load: 2 * Slack}}, homes[1:]},
		{"self is not away", homes[0], map[int]State{homes[0]: {Away: true}}, nil},
	} {
		if got := table.Route("f", c.self, with(c.states)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestTable_WithoutMembersHasNoRoute(t *testing.T) {
	if got := NewTable(nil).Route("f", -1, idle); len(got) != 0 {
		t.Errorf("the route is %v", got)
	}
}

func TestRegistry_LeasesEnd(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	r := NewRegistry("a", start)
	for i, c := range []struct {
		m       Member
		changed bool
	}{{Member{ID: "a"}, true}, {Member{ID: "b"}, true}, {Member{ID: "b"}, false}, {Member{ID: "b", Capacity: 2}, true}} {
		if r.Heard(c.m, start) != c.changed {
			t.Errorf("hearing %v, number %d, changed: %v", c.m, i, !c.changed)
		}
	}
	r.Heard(Member{ID: "a", Capacity: 1}, at(Lease))
	if gone := r.Expire(at(Lease)); len(gone) != 0 {
		t.Errorf("%v are gone though their lease lasts", gone)
	}
	if gone := r.Expire(at(Lease + 1)); !slices.Equal(gone, []string{"b"}) || len(r.Table().Members()) != 1 {
		t.Errorf("%v are gone, want b", gone)
	}
	r.Heard(Member{ID: "b", Draining: true}, start)
	if len(r.Table().Members()) != 1 {
		t.Error("who drains is a home")
	}
	r.Left("b")
	if r.Left("b") || !r.Left("a") {
		t.Error("leaving is not reported as it is")
	}
}

// Whoever hears not even itself can't tell who else is gone.
func TestRegistry_WhoIsCutOffKeepsToWhatItKnew(t *testing.T) {
	start := time.Unix(0, 0)
	r := NewRegistry("a", start)
	for _, id := range []string{"a", "b"} {
		r.Heard(Member{ID: id, Capacity: 1}, start)
	}
	if gone := r.Expire(start.Add(MaxDeaf)); len(gone) != 0 {
		t.Errorf("%v are gone", gone)
	}
	if gone := r.Expire(start.Add(MaxDeaf + 1)); len(gone) != 2 {
		t.Errorf("%v are gone, want all", gone)
	}
}

func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := NewTable(some(n))
			for b.Loop() {
				table.Route("d4e0b1b5-6c7b-4c39-9a53-6d9a4c1f2a55", -1, idle)
			}
		})
	}
}
