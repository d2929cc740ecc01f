package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host/quota"
	"vivarium/wasm"
	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// fakeEngine makes guests without Python, which do what the body of a call says. It
// is for tests of what this package does with guests, as fast and as often as real
// ones don't allow: the same guest used twice at once, used or closed after its end, or
// left behind, is an error of the test.
type fakeEngine struct {
	t testing.TB // set by newTestHost

	// Asked before a guest or an image is made, or a module loaded; nil means yes.
	boot, clone, freeze func() error
	// compile is asked before a runtime is used for the first time.
	compile func(runtime string) error
	// load says what loading a module does besides succeeding; nil means nothing.
	load func(g *fakeGuest) (*wasm.Response, error)

	guests, images atomic.Int64 // that are open
	made           atomic.Int64 // guests, ever
}

// fakeEngines have one for all runtimes.
type fakeEngines struct{ *fakeEngine }

// engine implements engines.
func (e fakeEngines) engine(_ context.Context, runtime string) (engine, error) {
	if e.compile != nil {
		if err := e.compile(runtime); err != nil {
			return nil, err
		}
	}
	return e.fakeEngine, nil
}

// threads implements engines.
func (fakeEngines) threads() int64 { return 0 }

// first implements engines.
func (fakeEngines) first() string { return "" }

// errFake is a fault of the engine's.
var errFake = errors.New("the engine is broken")

func asked(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (e *fakeEngine) newImage(note []byte) image {
	e.images.Add(1)
	return &fakeImage{engine: e, note: note}
}

// Boot implements engine.
func (e *fakeEngine) Boot(context.Context, wasm.Turn) (image, error) {
	if err := asked(e.boot); err != nil {
		return nil, err
	}
	return e.newImage(nil), nil
}

// Clone implements engine.
func (e *fakeEngine) Clone(_ context.Context, from image, cfg wasm.InstanceConfig) (guest, error) {
	if from.(*fakeImage).closed.Load() {
		e.t.Error("an instance is made of an image that is closed")
	}
	if err := asked(e.clone); err != nil {
		return nil, err
	}
	e.guests.Add(1)
	g := &fakeGuest{engine: e, number: e.made.Add(1), cfg: cfg}
	g.usable.Store(true)
	return g, nil
}

// OpenImage implements engine.
func (e *fakeEngine) OpenImage(string, string) (image, error) { return nil, wasm.ErrImage }

// ReceiveImage implements engine.
func (e *fakeEngine) ReceiveImage(string, string, io.Reader, func(int64) error) (image, error) {
	return nil, wasm.ErrImage
}

// Key implements engine.
func (e *fakeEngine) Key() string { return "fake" }

type fakeImage struct {
	engine *fakeEngine
	note   []byte
	closed atomic.Bool
}

// FileSize implements image.
func (*fakeImage) FileSize() int64 { return 1 << 20 }

// Content implements image.
func (*fakeImage) Content() *io.SectionReader { return nil }

// Note implements image.
func (i *fakeImage) Note() []byte { return i.note }

// Close implements image.
func (i *fakeImage) Close() error {
	if i.closed.Swap(true) {
		i.engine.t.Error("an image is closed twice")
	}
	i.engine.images.Add(-1)
	return nil
}

type fakeGuest struct {
	engine         *fakeEngine
	number         int64 // counts from 1
	cfg            wasm.InstanceConfig
	calls          int
	memory         int64         // that it has reserved
	held           time.Duration // by a debugger, in the last call
	observed       wasm.Observations
	inUse          atomic.Bool
	usable, closed atomic.Bool
}

func (g *fakeGuest) use() (done func()) {
	if g.inUse.Swap(true) {
		g.engine.t.Errorf("guest %d is used twice at once", g.number)
	}
	if g.closed.Load() {
		g.engine.t.Errorf("guest %d is used after its end", g.number)
	}
	return func() { g.inUse.Store(false) }
}

// whyEnded returns the error of a call that may not go on.
func whyEnded(ctx context.Context) error {
	if ctx.Err() != nil {
		return wasm.ErrCancelled
	}
	return wasm.ErrDeadline
}

// program is a guest's part of a call. With wait it waits for something.
type program func(request []byte, wait func(time.Duration) error) (*wasm.Response, error)

// call makes one call.
func (g *fakeGuest) call(ctx context.Context, c wasm.Call, do program) (*wasm.Response, error) {
	defer g.use()()
	if !g.usable.Load() {
		g.engine.t.Errorf("guest %d is called though it is of no use", g.number)
	}
	if c.Turn.Enter(ctx, c.Deadline) != nil {
		return nil, whyEnded(ctx)
	}
	computing := true
	defer func() {
		if computing {
			c.Turn.Leave(time.Microsecond)
		}
	}()
	wait := func(d time.Duration) error {
		c.Turn.Leave(time.Microsecond)
		computing = false
		select {
		case <-time.After(d):
			computing = c.Turn.Enter(ctx, c.Deadline) == nil
		case <-ctx.Done():
		}
		if !computing {
			return whyEnded(ctx)
		}
		return nil
	}
	request := c.Stdin
	if c.Prepare != nil {
		request = c.Prepare(func(int) {})
	}
	r, err := do(request, wait)
	if err != nil || r.Spent {
		g.usable.Store(false)
	}
	if c.Finish != nil {
		c.Finish(r, err, func(int) {})
	}
	return r, err
}

// Load implements guest.
func (g *fakeGuest) Load(ctx context.Context, c wasm.Call) (*wasm.Response, error) {
	return g.call(ctx, c, func([]byte, func(time.Duration) error) (*wasm.Response, error) {
		if g.engine.load != nil {
			if r, err := g.engine.load(g); r != nil || err != nil {
				return r, err
			}
		}
		return &wasm.Response{Kind: responseJSON, Body: []byte(`{"impure": [], "sources": []}`)}, nil
	})
}

// Invoke implements guest. The body of the call is words, which are done in order;
// it answers with the guest's number and how many calls it has had.
func (g *fakeGuest) Invoke(ctx context.Context, c wasm.Call) (*wasm.Response, error) {
	return g.call(ctx, c, func(request []byte, wait func(time.Duration) error) (*wasm.Response, error) {
		var r struct{ Body string }
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, err
		}
		g.calls++
		g.held = 0
		for word := range strings.FieldsSeq(r.Body) {
			switch word {
			case "raise":
				return &wasm.Response{Kind: responseError, Body: []byte(`{"errorType": "E", "errorMessage": "m", "stackTrace": []}`)}, nil
			case "trap":
				return nil, &wasm.TrapError{Reason: "unreachable"}
			case "exit":
				return &wasm.Response{Kind: responseError, Body: []byte(`{"errorType": "SystemExit", "errorMessage": "1"}`), Spent: true}, nil
			case "left": // until the deadline
				return &wasm.Response{Kind: responseBytes, Body: fmt.Append(nil, time.Until(c.Deadline))}, nil
			case "late":
				return nil, wasm.ErrDeadline
			case "hang":
				if err := wait(time.Hour); err != nil {
					return nil, err
				}
			case "grow":
				if !g.cfg.Reserve(1 << 20) {
					return nil, &wasm.MemoryError{}
				}
				g.memory += 1 << 20
			default:
				stood, held := strings.CutPrefix(word, "held:")
				d, err := time.ParseDuration(stood)
				if err != nil {
					return nil, err
				}
				if held { // no time passes for the call
					time.Sleep(d)
					g.held += d
					continue
				}
				if err := wait(d); err != nil {
					return nil, err
				}
			}
		}
		return &wasm.Response{Kind: responseBytes, Body: fmt.Appendf(nil, "%d.%d", g.number, g.calls)}, nil
	})
}

// Freeze implements guest.
func (g *fakeGuest) Freeze(_, _ string, note []byte, room func(int64) error) (image, error) {
	defer g.use()()
	if err := asked(g.engine.freeze); err != nil {
		return nil, err
	}
	if err := room(1 << 20); err != nil {
		return nil, err
	}
	return g.engine.newImage(note), nil
}

// Close implements guest.
func (g *fakeGuest) Close() {
	defer g.use()()
	g.closed.Store(true)
	g.cfg.Reserve(-g.memory)
	g.engine.guests.Add(-1)
}

// AwaitsEnd implements guest.
func (*fakeGuest) AwaitsEnd() bool { return false }

// Usable implements guest.
func (g *fakeGuest) Usable() bool { return g.usable.Load() }

// Retire implements guest.
func (g *fakeGuest) Retire() { g.usable.Store(false) }

// MemorySize implements guest.
func (*fakeGuest) MemorySize() int64 { return 10 << 20 }

// CPUTime implements guest.
func (*fakeGuest) CPUTime() time.Duration { return time.Microsecond }

// Held implements guest.
func (g *fakeGuest) Held() time.Duration { return g.held }

// Observed implements guest.
func (g *fakeGuest) Observed() wasm.Observations { return g.observed }

// ResetObserved implements guest.
func (g *fakeGuest) ResetObserved() { g.observed = wasm.Observations{} }

// Net implements guest.
func (*fakeGuest) Net() sockets.Net { return nil }

// HangUp implements guest.
func (*fakeGuest) HangUp() {}

// nothingLeft fails the test unless all that a closed runner had has been let go of.
func (e *fakeEngine) nothingLeft(h *testHost) {
	h.t.Helper()
	h.Close()
	if g, i := e.guests.Load(), e.images.Load(); g != 0 || i != 0 {
		h.t.Errorf("%d guests and %d images are left", g, i)
	}
	for _, k := range []quota.Kind{
		quota.Call, quota.Instance, quota.InstanceMemory, quota.OwnMemory, quota.CodeTree, quota.Body, quota.ImageFile, quota.Connection,
	} {
		if n := h.room.ledger.Held(k); n != 0 {
			h.t.Errorf("the ledger has %d of %s", n, k)
		}
	}
}

// Interrupt implements guest.
func (g *fakeGuest) Interrupt() {}

// DropInterrupt implements guest.
func (g *fakeGuest) DropInterrupt() {}

// Root implements guest.
func (g *fakeGuest) Root() *vfs.Root { return nil }
