package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// Instance is a live guest. It is not safe for concurrent use: one goroutine at
// a time may call or close it.
//
// Its own members are what it is: code, memory, and the call it is in. What it is
// measured by is in meter, what it may ask for in world.
type Instance struct {
	meter
	world

	engine *Engine
	module api.Module
	linear *linearMemory
	image  *Image
	base   context.Context // carries the instance to the host functions

	load, invoke api.Function
	broken       bool     // only Close is allowed
	awaitsEnd    bool     // see AwaitsEnd
	threads      *threads // nil as long as it never had but one
	interruption interruption
	observation

	// State of the current call.
	stopped  error // why the host ended the call
	last     lastWords
	calling  api.Function
	response *Response
	// Of the first thread, while there are others.
	firstCalling api.Function
	over         context.Context // see callOver
	endOver      func()
}

// InstanceConfig configures one instance.
type InstanceConfig struct {
	MemoryLimit int64     // bytes of linear memory; at most MaxMemory
	Code        *vfs.Tree // at /function/code; nil means empty
	Tmp         *vfs.Mem  // at /tmp; nil means empty. The instance closes it
	// Disks are at /function/storage/NAME, by name. The instance closes them.
	Disks map[string]*vfs.Mem
	// Net is what the instance may reach; nil means nothing: attempts fail with
	// a PermissionError that names the setting.
	Net sockets.Net
	// Reserve, if set, asks the owner for memory before the linear memory grows
	// beyond the image, for the image's pages that the instance maps and
	// copies, beyond a megabyte of copies, and soon after the machine stack has
	// grown. A negative delta returns what the end of a call or of the instance
	// frees. It is called by the goroutine that uses the instance. All
	// instances of one image must have the same owner, who pays only once for
	// the pages they share.
	Reserve func(delta int64) bool
}

// Call is one call of a guest, with the host's work around it.
//
// Prepare and Finish are for host work whose length the guest or the caller
// controls: it runs in the guest's turn and counts as the guest's. They receive
// a Work, to be called as the work proceeds.
type Call struct {
	Stdin []byte
	// Prepare, if set, returns the call's Stdin.
	Prepare func(Work) []byte
	// Stdout and Stderr may accept part of a write and return io.ErrShortWrite;
	// they get the rest once the guest has yielded. They may be WorkingWriters.
	// Nil means discard.
	Stdout, Stderr io.Writer
	Deadline       time.Time // zero means none
	Turn           Turn      // nil means compute at once
	Observer       Observer  // nil means that nobody observes
	// Finish, if set, is called when the guest has returned, successfully or
	// not, with what the call is about to return.
	Finish func(r *Response, err error, work Work)
}

// Work reports n bytes of work, copied or inspected once. It yields to others
// now and then. It has no result: the work continues to its end, which must not
// be far, and the call fails afterwards if the deadline has passed meanwhile.
type Work func(n int)

// ResponseKind is the first argument of the guest's respond.
type ResponseKind uint32

// Response is what the guest returned.
type Response struct {
	Kind ResponseKind
	Body []byte
	// Size is how many bytes the guest handed over. If that exceeds the
	// engine's MaxResponse, Body is empty.
	Size int64
	// Spent reports whether the guest asks to be discarded.
	Spent bool
}

// bind gives a shell its content.
func (i *Instance) bind(image *Image, cfg InstanceConfig) error {
	if cfg.MemoryLimit > MaxMemory {
		return fmt.Errorf("wasm: memory limit of %d MiB: at most %d", cfg.MemoryLimit>>20, MaxMemory>>20)
	}
	i.linear.limit = uint64(cfg.MemoryLimit)
	if delta := image.size - int64(i.linear.size); delta > 0 {
		if _, ok := i.module.Memory().Grow(uint32(delta / pageSize)); !ok {
			return fmt.Errorf("wasm: image of %d MiB does not fit a memory limit of %d MiB", image.size>>20, cfg.MemoryLimit>>20)
		}
	}
	if err := i.linear.bind(image); err != nil {
		return err
	}
	i.linear.charge.reserve = cfg.Reserve
	i.image = image
	if !i.allot() {
		return fmt.Errorf("wasm: image: %w", ErrMemory)
	}
	if hot := image.hot.Load(); hot != nil {
		i.linear.populate(*hot)
	}
	for n, name := range i.engine.globals {
		g, ok := i.module.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return fmt.Errorf("wasm: global %s is not mutable", name)
		}
		g.Set(image.globals[n])
	}
	return i.furnish(cfg)
}

// Load has the guest load what it will run. The rules are those of Invoke.
func (i *Instance) Load(ctx context.Context, c Call) (*Response, error) {
	if i.load == nil {
		i.load = i.module.ExportedFunction(exportLoad)
	}
	return i.respondTo(ctx, exportLoad, i.load, c)
}

// Invoke makes one call and returns the guest's response. It blocks until the
// guest returns, ctx ends, or the deadline passes.
//
// # Errors
//
// ErrDeadline, ErrCancelled, *TrapError, *ExitError, *MemoryError,
// *StatusError, ErrNoResponse. After any of them the instance accepts no more
// calls and must be closed.
func (i *Instance) Invoke(ctx context.Context, c Call) (*Response, error) {
	if i.invoke == nil {
		i.invoke = i.module.ExportedFunction(exportInvoke)
	}
	r, err := i.respondTo(ctx, exportInvoke, i.invoke, c)
	if err == nil && i.image.hotOnce.CompareAndSwap(false, true) {
		if spans := i.linear.privatePages(i.image.size, keptPages/2); spans != nil {
			i.image.hot.Store(&spans)
		}
	}
	return r, err
}

func (i *Instance) respondTo(ctx context.Context, name string, f api.Function, c Call) (r *Response, err error) {
	err = i.run(ctx, f, c, func(status int32, err error) error {
		if err == nil {
			r, err = i.responded(name, status)
		}
		if c.Finish != nil {
			c.Finish(r, err, i.pace)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// responded returns the guest's response.
func (i *Instance) responded(name string, status int32) (*Response, error) {
	switch {
	case status != statusReusable && status != statusSpent && status != statusAwaiting:
		err := error(&StatusError{Export: name, Status: status})
		if i.linear.denied != granted {
			err = i.noMemory(err)
		}
		return nil, err
	case i.response == nil:
		return nil, fmt.Errorf("%w: %s", ErrNoResponse, name)
	}
	r := i.response
	i.response = nil
	r.Spent = status == statusSpent
	i.broken = i.broken || r.Spent
	i.awaitsEnd = status == statusAwaiting
	return r, nil
}

// call calls an export that gives no response.
func (i *Instance) call(ctx context.Context, export string, c Call) (status int32, err error) {
	err = i.run(ctx, i.module.ExportedFunction(export), c, func(s int32, err error) error {
		status = s
		return err
	})
	return status, err
}

// run makes one guest call, from entering the turn to leaving it. Still within
// the turn, ended receives the guest's status and decides how the call ended.
func (i *Instance) run(ctx context.Context, f api.Function, c Call, ended func(status int32, err error) error) (err error) {
	if i.broken {
		return ErrClosed
	}
	i.meter.begin(ctx, c.Turn, c.Deadline)
	i.stopped, i.response, i.calling, i.firstCalling, i.last = nil, nil, f, f, lastWords{}
	defer i.interruption.take() // what came too late for this call is not for the next
	i.observation = observation{observer: c.Observer}
	i.connect(c.Stdout, c.Stderr)
	i.linear.denied = granted
	defer func() {
		i.disconnect()
		i.observation = observation{}
		if i.over != nil {
			i.endOver()
			i.over = nil
		}
		i.meter.end()
		i.dropStack()
		i.broken = i.broken || err != nil
	}()

	if err := i.enter(); err != nil {
		return err
	}
	defer i.leave()
	i.stdin.set(c.Stdin)
	if c.Prepare != nil {
		i.stdin.set(c.Prepare(i.pace))
	}
	var status int32
	if i.stopped == nil {
		if status, err = i.enterGuest(f); err != nil {
			i.endThreads()
		}
		i.computing(0)
	}
	if err = ended(status, i.explain(err)); err == nil {
		err = i.stopped
	}
	if err == nil {
		if i.noteFaults(); !i.chargePages() {
			err = i.outOf(errPages)
		}
	}
	return err
}

// enterGuest calls the guest and returns its status.
func (i *Instance) enterGuest(f api.Function) (int32, error) {
	ctx := i.base
	if i.engine.cfg.CloseOnDone { // the only case in which wazero watches the context
		deadline := i.limit.end()
		if deadline.IsZero() {
			deadline = time.Now().Add(time.Hour)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(i.base, deadline)
		defer cancel()
	}
	var stack [1]uint64
	err := f.CallWithStack(ctx, stack[:])
	return int32(stack[0]), err
}

// explain returns why a call failed, or nil.
func (i *Instance) explain(err error) error {
	if i.stopped != nil || err == nil {
		return i.stopped
	}
	if i.engine.cfg.CloseOnDone && i.limit.passed(i.engine.now()) {
		return ErrDeadline
	}
	err = guestError(err)
	if i.linear.denied != granted {
		return i.noMemory(err)
	}
	return err
}

// enter waits for the guest's turn.
func (i *Instance) enter() error {
	if err := i.meter.enter(i.turnUntil()); err != nil {
		return err
	}
	i.beginFaults()
	return nil
}

// leave ends the guest's turn, if it has one.
func (i *Instance) leave() {
	if i.entered {
		i.noteFaults()
		i.meter.leave()
	}
}

// end leaves the guest from within a host function; run returns why.
func (i *Instance) end(why error) {
	i.sayLastWords(why)
	if t := i.threads; t != nil && t.running != t.first {
		t.fail(why)
		panic(errThreads)
	}
	i.stopped = why
	panic(why)
}

// yield checks on a computing guest: see the package comment.
func (i *Instance) yield() int32 {
	i.computing(ObserveInterval)
	if why := i.giveWay(); why != nil {
		i.end(why)
	}
	i.heed()
	if i.threads != nil && i.last.until == 0 {
		i.giveOthers()
	}
	return int32(i.engine.cfg.LoopBudget)
}

// giveWay lets waiting guests compute first, and returns why the call must end,
// or nil.
func (i *Instance) giveWay() error {
	if why := i.timeUp(); why != nil {
		return why
	}
	if !i.chargeStack() {
		return i.outOf(errStack)
	}
	i.noteFaults()
	if !i.chargePages() {
		return i.outOf(errPages)
	}
	if err := i.meter.giveWay(i.turnUntil()); err != nil {
		return err
	}
	i.beginFaults()
	return i.timeUp()
}

// handOver is less than what it takes to hand over a turn, in nanoseconds.
const handOver = 1000

// sleep is the guests' nanosleep.
func (i *Instance) sleep(ns int64) {
	i.seen.Slept++
	if ns <= handOver && i.threads == nil {
		// A timer, or the turn handed over as often, would have processors fall asleep, and
		// others wait until they are awake again.
		i.did(portion)
		return
	}
	i.wait(func(ctx context.Context, deadline time.Time) {
		wait := time.Duration(ns)
		if !deadline.IsZero() {
			wait = min(wait, time.Until(deadline))
		}
		if wait <= 0 {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	})
}

// wait leaves the turn while do blocks, until ctx ends or the deadline (zero
// means none) passes. A waiting guest computes nothing, and ends with its call.
func (i *Instance) wait(do func(ctx context.Context, deadline time.Time)) {
	i.mustNotWait()
	defer i.waiting()()
	if i.threads != nil {
		i.waitBeside(do)
		return
	}
	ctx, cancel := context.WithCancelCause(i.ctx)
	defer cancel(nil)
	until := i.limit.end()
	if until.IsZero() { // it is held, which may end meanwhile
		defer i.limit.watch(func() { cancel(nil) })()
	}
	over := i.interruption.during(cancel)
	i.leave()
	do(ctx, until)
	over()
	if why := i.overdue(); why != nil {
		i.end(why)
	}
	if err := i.enter(); err != nil {
		i.end(err)
	}
	i.heed()
}

// respond stores what the guest hands over.
func (i *Instance) respond(m api.Module, kind, ptr, size uint32) {
	body, err := guestBytes(m.Memory(), ptr, size)
	if err != nil {
		i.end(&TrapError{Reason: err.Error()})
	}
	r := &Response{Kind: ResponseKind(kind), Size: int64(size)}
	if len(body) <= i.engine.cfg.MaxResponse {
		if i.response != nil { // a second response replaces the first
			r.Body = i.response.Body[:0]
		}
		r.Body = slices.Grow(r.Body, len(body))
		for part := range slices.Chunk(body, portion) {
			r.Body = append(r.Body, part...)
			i.did(len(part))
		}
	}
	i.response = r
}

// MemorySize returns the size of the linear memory, in bytes. It never shrinks.
func (i *Instance) MemorySize() int64 { return int64(i.linear.size) }

// AwaitsEnd reports whether the guest has asked, with its last response, to be told before
// the instance ends.
func (i *Instance) AwaitsEnd() bool { return i.awaitsEnd }

// Usable reports whether the instance accepts another call.
func (i *Instance) Usable() bool { return !i.broken }

// Freeze returns an image of the instance's current state; the instance can be
// used further. With a path, the image is stored there for OpenImage under key
// and the guest's key; otherwise it lives as long as its users. The note
// belongs to the caller. Room, unless nil, is asked for space on the disk
// before the file is written; its error is returned.
func (i *Instance) Freeze(path, key string, note []byte, room func(bytes int64) error) (*Image, error) {
	if i.broken {
		return nil, ErrClosed
	}
	if i.otherThreads() > 0 {
		return nil, errors.New("wasm: freeze: the guest has threads")
	}
	memory, ok := i.module.Memory().Read(0, i.module.Memory().Size())
	if !ok {
		return nil, errors.New("wasm: freeze: a memory of 4 GiB can't be frozen")
	}
	globals, err := i.saveGlobals()
	if err != nil {
		return nil, err
	}
	return writeImage(i.engine.tempDir(), path, i.engine.key+"/"+key, memory, globals, note, room)
}

func (i *Instance) saveGlobals() ([]uint64, error) {
	values := make([]uint64, len(i.engine.globals))
	for n, name := range i.engine.globals {
		g := i.module.ExportedGlobal(name)
		if g == nil {
			return nil, fmt.Errorf("wasm: global %s is not exported", name)
		}
		values[n] = g.Get()
	}
	return values, nil
}

// Close ends the instance and returns its memory to the system.
func (i *Instance) Close() {
	i.broken = true
	i.endThreads()
	// Closing a module fails only for files that do not close; there are none.
	_ = i.module.Close(context.Background())
	if i.image != nil && i.pages.shared > 0 {
		i.share(0) // giving back never fails
	}
	i.world.close()
}

// Retire makes the instance refuse further calls. It must still be closed.
func (i *Instance) Retire() { i.broken = true }
