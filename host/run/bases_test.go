package run

import (
	"context"
	"testing"
	"time"

	"vivarium/wasm"
)

// turnsOfBoots are what interpreters were booted in.
type turnsOfBoots struct {
	engine
	turns chan *turn
}

// Boot implements engine.
func (e turnsOfBoots) Boot(ctx context.Context, t wasm.Turn) (image, error) {
	e.turns <- t.(*turn)
	return e.engine.Boot(ctx, t)
}

// Who takes an interpreter pays for the next one.
func TestBaseStock_BootsInTheTurnOfWhoTookOne(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	e := turnsOfBoots{&fakeEngine{t: t}, make(chan *turn)}
	s := newBaseStock(ctx, e, newScheduler(1))
	defer s.close()
	defer stop()
	if first := <-e.turns; first.tenant != "" {
		t.Errorf("the first interpreter is booted for %s", first.tenant)
	}
	for _, tenant := range []string{"a", "b"} {
		base, err := s.acquire(ctx, tenant)
		if err != nil {
			t.Fatal(err)
		}
		_ = base.Close()
		if next := <-e.turns; next.tenant != tenant {
			t.Errorf("after one for %s the next is booted for %s", tenant, next.tenant)
		}
	}
}

// An interpreter that waits for its turn to be booted keeps nobody from closing the stock.
func TestBaseStock_WaitsForItsTurn(t *testing.T) {
	h := newTestHost(t, testConfig{})
	python, err := h.maker.interpreters.get(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s := newScheduler(1)
	holder := s.turn("holder", "f")
	if err := holder.Enter(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stock := newBaseStock(ctx, python.engine, s)
	for s.demand() < 2 { // the boot has come to wait
		select {
		case r := <-stock.ready:
			t.Fatalf("booted while another has the only turn: %v", r.err)
		default:
		}
	}
	stop()
	stock.close() // though the turn does not come
	holder.Leave(0)
	if n := s.demand(); n != 0 {
		t.Errorf("%d turns are left", n)
	}
}
