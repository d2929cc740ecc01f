package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// about returns the ids and values of what there is about something, oldest first.
func about(t *testing.T, s *Store, tenant, of string) (texts []string) {
	t.Helper()
	for _, o := range must(s.Operations.About(t.Context(), tenant, of))(t) {
		if o.Tenant != tenant || o.About != of || o.Stored.IsZero() {
			t.Errorf("about %s of %s: got %+v", of, tenant, o)
		}
		texts = append(texts, o.ID+"="+string(o.Value))
	}
	return texts
}

// What one process has put, all find as it is now.
func TestOperations_AreFoundByAll(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		ctx := t.Context()
		put := func(s *Store, tenant, about, id, value string) {
			t.Helper()
			text := []byte(value)
			check(t, s.Operations.Put(ctx, Operation{ID: id, Tenant: tenant, About: about, Value: text}))
			text[0] = '?' // which is the caller's
		}
		put(a, "t1", "f", "op1", "begun")
		put(b, "t1", "f", "op2", "done")
		put(a, "t2", "f", "op3", "another tenant's")
		put(a, "t1", "", "op4", "about nothing")
		put(a, "*", "", "op5", "of all")
		put(b, "t1", "f", "op1", "done")
		for id, want := range map[string]Operation{
			"op1": {Tenant: "t1", About: "f", Value: []byte("done")}, "op4": {Tenant: "t1", Value: []byte("about nothing")},
			"op5": {Tenant: "*", Value: []byte("of all")},
		} {
			got := must(a.Operations.Get(ctx, id))(t)
			same := got.ID == id && got.Tenant == want.Tenant && got.About == want.About && bytes.Equal(got.Value, want.Value)
			if !same || got.Stored.IsZero() {
				t.Errorf("%s: got %+v, want %+v", id, got, want)
			}
		}
		if got, want := fmt.Sprint(about(t, b, "t1", "f")), "[op2=done op1=done]"; got != want {
			t.Errorf("about f: %s, want %s", got, want)
		}
		if got, want := fmt.Sprint(about(t, b, "t1", "")), "[op4=about nothing]"; got != want {
			t.Errorf("about nothing: %s, want %s", got, want)
		}
		for _, id := range []string{"op6", "*", ">", "", "op.1", "op1 ", "*.*"} {
			if o, err := a.Operations.Get(ctx, id); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %+v, %v", id, o, err)
			}
		}
	})
}

// Who makes many changes loses the oldest of its own operations, and nobody else's.
func TestOperations_OfATenantAreBounded(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx := t.Context()
		check(t, s.Operations.Put(ctx, Operation{ID: "other", Tenant: "t2", About: "f"}))
		const more = 2 * trimInterval
		for n := range maxOperations + more {
			check(t, s.Operations.Put(ctx, Operation{ID: fmt.Sprint("op", n), Tenant: "t1", About: "f"}))
		}
		all := about(t, s, "t1", "f")
		if n := len(all); n < maxOperations || n >= maxOperations+trimInterval || all[n-1] != fmt.Sprintf("op%d=", maxOperations+more-1) {
			t.Errorf("%d of them are left, the last is %s", n, all[n-1])
		}
		if _, err := s.Operations.Get(ctx, "op0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the oldest: %v", err)
		}
		must(s.Operations.Get(ctx, "other"))(t)
	})
}

// An operation outlasts the process that has put it.
func TestOperations_AreKept(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := open(t, cfg)
	check(t, s.Operations.Put(t.Context(), Operation{ID: "op", Tenant: "t", Value: []byte("done")}))
	s.Close()
	if _, err := s.Operations.Get(t.Context(), "op"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("of a store that is closed: %v", err)
	}
	s = open(t, cfg)
	if o := must(s.Operations.Get(t.Context(), "op"))(t); string(o.Value) != "done" {
		t.Errorf("got %+v", o)
	}
}
