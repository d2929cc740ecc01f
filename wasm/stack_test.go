package wasm

import (
	"errors"
	"testing"
)

// maxStack is the largest machine stack that a call can have, in bytes: wazero
// doubles stacks of up to 50 MB.
const maxStack = 101 << 20

// owner pays for an instance.
type owner struct{ limit, now, most int64 }

func (o *owner) reserve(delta int64) bool {
	if o.now+delta > o.limit {
		return false
	}
	o.now += delta
	o.most = max(o.most, o.now)
	return true
}

// paidActor is an actor with an owner that pays.
func paidActor(t *testing.T, o *owner) *Instance {
	e := newTestEngine(t, "acts.wasm", nil)
	image, err := e.Boot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	i, err := e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: 1 << 20, Reserve: o.reserve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func TestStack_IsChargedAndGivenBack(t *testing.T) {
	o := &owner{limit: 1 << 30}
	i := paidActor(t, o)
	image := o.now
	_, err := i.Invoke(t.Context(), Call{Stdin: []byte("r")})
	if trap, ok := errors.AsType[*TrapError](err); !ok || trap.Reason != "stack overflow" {
		t.Fatalf("got %v", err)
	}
	if o.most < 32<<20 || o.most > maxStack {
		t.Errorf("recursion without end was charged %d MiB at most, want 32 to %d", o.most>>20, maxStack>>20)
	}
	if o.now != image {
		t.Errorf("%d bytes are charged after the call, want the image's %d", o.now, image)
	}
	i.Close()
	if o.now != 0 {
		t.Errorf("%d bytes are charged after the end", o.now)
	}
}

func TestStack_EndsWhereTheOwnerRefuses(t *testing.T) {
	o := &owner{limit: 8 << 20}
	i := paidActor(t, o)
	image := o.now
	_, err := i.Invoke(t.Context(), Call{Stdin: []byte("r")})
	if _, ok := errors.AsType[*MemoryError](err); !ok || !errors.Is(err, errStack) {
		t.Errorf("got %v, want that there is no memory", err)
	}
	if o.most == image || o.now != image {
		t.Errorf("%d bytes were charged at most, %d in the end", o.most, o.now)
	}
}

func TestStack_OfAnOrdinaryCallIsKeptAndFree(t *testing.T) {
	o := &owner{limit: 1 << 30}
	i := paidActor(t, o)
	image := o.now
	if invoke(t, i, "c"); o.most != image || i.invoke == nil {
		t.Errorf("%d bytes were charged beside the image, the function was dropped: %v", o.most-image, i.invoke == nil)
	}
	if n := stackSize(i.invoke); n <= 0 || n > keptStack {
		t.Errorf("the stack has %d bytes; does wazero hide it now?", n)
	}
}
