package events

import (
	"fmt"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// Dead letters of one tenant push out its own alone.
func TestLetters_PushOutTheirOwn(t *testing.T) {
	e, _ := onDisk(t, t.TempDir())
	bury := func(tenant string, size int) {
		t.Helper()
		f, err := e.Function(access.Operator, tenant+"/fun")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.letters.bury(t.Context(), store.Item{FunctionID: f.ID, Body: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tenant := range []string{"good", "bad", "worse"} {
		e.function(tenant+"/fun", catalog.AsyncConfig{}, nil)
	}
	for range 10 {
		bury("good", 100)
	}
	for range 15 {
		bury("bad", 3<<20)
		bury("worse", 1<<20)
	}
	if n := len(e.deadLetters(member("good"))); n != 10 {
		t.Errorf("%d dead letters of the other tenant are left, want 10", n)
	}
	for tenant, least := range map[string]int{"bad": 1, "worse": 4} {
		if n := len(e.deadLetters(member(tenant))); n < least {
			t.Errorf("%s has %d left, want %d or more", tenant, n, least)
		}
	}
}

// A page ends before it has more than can be held for a reader.
func TestDeadLetters_ComeInPages(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	e := open(t, s)
	f := e.function("fun", catalog.AsyncConfig{}, nil)
	for n := range 1010 {
		size := 1
		if n >= 1000 {
			size = 3 << 20
		}
		if _, err := s.Letters.Add(t.Context(), store.Item{FunctionID: f.ID, Body: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	token, sizes := "", []int{}
	for {
		letters, next, err := e.DeadLetters(t.Context(), access.Operator, "fun", MaxPageSize, token)
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
	_, _, err := e.DeadLetters(t.Context(), access.Operator, "fun", 0, "x")
	wantError[*fault.InvalidError](t, err, "pageToken")
}
