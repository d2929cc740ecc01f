package manage

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// sharing returns the operations of two servers of one store.
func sharing(t *testing.T) (here, there *Operations) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	log := slog.New(slog.DiscardHandler)
	server := func() *Operations {
		return &Operations{func() store.Operations { return s.Operations }, log, drainPatience}
	}
	return server(), server()
}

// A deletion that takes long is in progress for all, until it ends for all.
func TestOperations_LongDeletionsAreFoundElsewhere(t *testing.T) {
	for _, c := range []struct {
		name string
		ends error
		kind fault.Kind
		text string
	}{
		{"it is done", nil, 0, ""},
		{"it fails", &fault.ConflictError{Thing: "function", Name: "f", Reason: "is in use"}, fault.Conflict, "function f is in use"},
		{"it fails for what is the operator's", errors.New("the secret path /x"), fault.Internal, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := sharing(t)
				ctx, caller := context.WithCancel(t.Context())
				end := make(chan error)
				op, err := here.Drain(ctx, Change{Tenant: "t", About: "f", Started: time.Now()}, func() error { return <-end })
				if err != nil || op.Done {
					t.Fatalf("got %+v, %v", op, err)
				}
				caller() // who asked for it goes away
				for range 5 {
					time.Sleep(lostAfter)
					if found, err := there.Find(t.Context(), access.Operator, op.ID); err != nil || found.Done {
						t.Fatalf("while it waits: %+v, %v", found, err)
					}
				}
				end <- c.ends
				synctest.Wait()
				found, err := there.Find(t.Context(), access.Operator, op.ID)
				if err != nil || !found.Done || (found.Err == nil) != (c.ends == nil) {
					t.Fatalf("when it has ended: %+v, %v", found, err)
				}
				if c.ends != nil && (fault.Of(found.Err) != c.kind || found.Err.Error() != c.text) {
					t.Errorf("it has ended with %v", found.Err)
				}
			})
		})
	}
}

// Nobody waits for ever for a server that has ended.
func TestOperations_OfServersThatEndedAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := sharing(t)
		op := pending(Change{Tenant: "t"})
		here.keep(t.Context(), op)
		if found, err := there.Find(t.Context(), access.Operator, op.ID); err != nil || found.Done {
			t.Errorf("got %+v, %v", found, err)
		}
		time.Sleep(lostAfter + 1)
		found, err := there.Find(t.Context(), access.Operator, op.ID)
		if err != nil || !found.Done || fault.Of(found.Err) != fault.Conflict {
			t.Errorf("got %+v, %v", found, err)
		}
	})
}

// A change that was made is answered so, though its operation can't be kept.
func TestOperations_ChangesAreMadeWithoutThem(t *testing.T) {
	s := store.Memory(store.Config{})
	o := &Operations{func() store.Operations { return s.Operations }, slog.New(slog.DiscardHandler), drainPatience}
	s.Close()
	if op := o.Done(t.Context(), Change{Tenant: "t"}, Policy{}); !op.Done || op.Err != nil {
		t.Errorf("got %+v", op)
	}
	if _, err := o.Find(t.Context(), access.Operator, "d4o1"); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}
