package wasm

import (
	"context"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
)

// exportInterrupt is what a guest may export to be told that it should break off what
// it does: () -> (). The host calls it in the middle of a loop or of a host call.
const exportInterrupt = "vivarium_interrupt"

// interruption is what becomes of Instance.Interrupt. It is the only part of an
// instance that other goroutines touch.
type interruption struct {
	mu    sync.Mutex // guards the members; nothing blocks under it
	asked bool       // the guest has not been told yet
	wake  func()     // ends the wait that the guest's first thread is in; nil when it is in none
	// bell, of capacity 1, rings while asked: for waits that are too frequent to make a
	// context for each. Nil as long as there was none.
	bell chan struct{}
}

// Interrupt asks the guest to break off what the current call does: it ends a wait,
// and has the guest raise what its handler of SIGINT raises. It does not block, and
// whether the guest heeds it is the guest's affair: it may be waiting for a thread of
// its own. Without a call, the next one is interrupted. Any goroutine may use it.
func (i *Instance) Interrupt() {
	i.interruption.mu.Lock()
	defer i.interruption.mu.Unlock()
	i.interruption.asked = true
	i.interruption.ring()
	if i.interruption.wake != nil {
		i.interruption.wake()
	}
}

// DropInterrupt takes back an Interrupt that no call has heeded.
func (i *Instance) DropInterrupt() { i.interruption.take() }

// ring rings the bell, if there is one. The caller holds mu.
func (n *interruption) ring() {
	select {
	case n.bell <- struct{}{}:
	default: // it rings, or there is none
	}
}

// ringing returns the bell.
func (n *interruption) ringing() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bell == nil {
		n.bell = make(chan struct{}, 1)
	}
	if n.asked {
		n.ring()
	}
	return n.bell
}

// take reports whether the guest is to be told now, and forgets it.
func (n *interruption) take() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = false
	select {
	case <-n.bell:
	default:
	}
	return asked
}

// during makes Interrupt call cancel until the returned function is called.
func (n *interruption) during(cancel context.CancelCauseFunc) (over func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wake = func() { cancel(sockets.ErrInterrupted) }
	if n.asked {
		n.wake()
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.wake = nil
	}
}

// heed tells the guest that it is interrupted, if it is.
func (i *Instance) heed() {
	if i.last.until != 0 || !i.interruption.take() {
		return
	}
	f := i.module.ExportedFunction(exportInterrupt)
	sp, ok := i.module.ExportedGlobal(stackPointer).(api.MutableGlobal)
	if f == nil || !ok {
		return
	}
	before := sp.Get()
	sp.Set(before - redZone)
	calling := i.calling
	i.calling = f // whose stack grows now
	err := f.CallWithStack(i.base, nil)
	i.calling = calling
	sp.Set(before)
	if err != nil {
		i.end(fmt.Errorf("wasm: %s: %w", exportInterrupt, guestError(err)))
	}
}
