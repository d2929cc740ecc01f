package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// Threads of a guest are call stacks in one instance: each is a goroutine that calls
// an export through an api.Function of its own, which is what has wazero's stack. One
// of them runs at a time. It hands over when it waits in a host call, and nowhere
// else, so that the guest needs neither shared memory nor atomic operations, and no
// code of its is interrupted by other code. A guest without threads has none of this.
//
// The first thread is the goroutine that calls the instance. Between calls it counts
// as the one that runs: the others stand still.

// Limits of threads.
const (
	maxThreads = 1024 // of one instance, besides the first
	maxLocals  = 8
	maxSpare   = 64
	// threadWork is what beginning a thread counts for; see did.
	threadWork = portion
	// switchWork is what waiting counts for, and going on.
	switchWork = portion / 4
	// threadMemory is what a thread costs besides its stacks, in bytes.
	threadMemory = 8 << 10
	// preemptAfter is how long a thread computes at least while others are ready,
	// before the guest is asked to let them.
	preemptAfter = time.Millisecond
)

// What a guest with threads exports.
const (
	exportThread  = "vivarium_thread"
	exportPreempt = "vivarium_preempt"
	stackPointer  = globalPrefix + "0"
	// redZone is how far below the stack pointer a function may keep things that
	// calls nothing else.
	redZone = 256
)

// errThreads is why a thread leaves the guest: the instance's threads end.
var errThreads = errors.New("wasm: the threads of the instance end")

// threads are an instance's threads. The members that mu does not guard belong to the
// thread that runs.
type threads struct {
	first   *thread
	stack   api.MutableGlobal // the guest's stack pointer
	locals  []uint32          // addresses of the words that each thread has for itself
	preempt api.Function
	asking  bool  // preempt is being called
	since   int64 // when the thread that runs began, on the engine's clock
	parked  int64 // bytes of machine stack of threads that don't run, and of spare
	// spare are functions of threads that have ended in this call, for others to use: a
	// machine stack is long in growing, and makes much garbage.
	spare []api.Function

	living context.Context // ends when the threads do
	end    context.CancelFunc
	gone   sync.WaitGroup // goroutines of threads

	mu      sync.Mutex // guards all below; nothing blocks under it
	running *thread    // nil when all wait
	ready   queue
	waiting [waitingQueues]queue // by a hash of the address; see waitingAt
	all     map[*thread]struct{} // all but the first
	named   map[uint32]*thread   // by what the guest calls them; 0 is the first
	failure error                // why the threads have ended, when one of them is to blame
	stuck   bool                 // when they ended all waited for each other
}

// thread is one thread.
type thread struct {
	f    api.Function  // nil for the first, which has the instance's of the call
	turn chan struct{} // of capacity 1: it is the one that runs
	// Guarded by mu:
	in      *queue // ready or waiting
	before  *thread
	after   *thread
	at      uint32 // where it waits
	forever bool   // it does until it is woken
	woken   bool   // it does not wait any more
	// interrupt ends its wait in another host call. Guarded by mu; nil when there is none.
	interrupt func()
	locals    [maxLocals]uint32
	stack     uint64 // the stack pointer while it does not run
	parked    int64  // bytes of its machine stack, counted in the threads' parked
}

// withThreads returns the instance's threads, which begin with the first one.
func (i *Instance) withThreads() *threads {
	if i.threads == nil {
		t := &threads{
			first: &thread{turn: make(chan struct{}, 1)}, since: i.engine.now(),
			all: map[*thread]struct{}{}, named: map[uint32]*thread{},
		}
		t.stack, _ = i.module.ExportedGlobal(stackPointer).(api.MutableGlobal)
		t.running, t.named[0] = t.first, t.first
		t.living, t.end = context.WithCancel(context.Background())
		i.threads = t
	}
	return i.threads
}

// otherThreads returns how many threads there are besides the first.
func (i *Instance) otherThreads() int {
	if i.threads == nil {
		return 0
	}
	i.threads.mu.Lock()
	defer i.threads.mu.Unlock()
	return len(i.threads.all)
}

// threadStart is vivarium.thread_start(thread, top) -> errno.
func threadStart(ctx context.Context, _ api.Module, stack []uint64) {
	i := instanceOf(ctx)
	stack[0] = uint64(i.startThread(api.DecodeU32(stack[0]), api.DecodeU32(stack[1])))
}

func (i *Instance) startThread(argument, top uint32) vfs.Errno {
	i.did(threadWork)
	t := i.withThreads()
	// Only the thread that runs begins and ends any.
	if i.otherThreads() >= maxThreads || !i.linear.charge.add(threadMemory) {
		return sockets.EAGAIN
	}
	f := i.threadFunction()
	if f == nil || t.stack == nil {
		i.linear.charge.give(threadMemory)
		return vfs.EINVAL
	}
	th := &thread{f: f, turn: make(chan struct{}, 1), stack: uint64(top)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.living.Err() != nil { // endAll has told the others
		i.linear.charge.give(threadMemory)
		return sockets.EAGAIN
	}
	t.all[th] = struct{}{}
	t.ready.push(th)
	t.named[argument] = th
	i.engine.cfg.Threads.Add(1)
	t.gone.Go(func() {
		defer i.engine.cfg.Threads.Add(-1)
		i.runThread(th, argument)
	})
	return 0
}

// threadFunction returns a function for a thread to call, or nil where the guest has none.
func (i *Instance) threadFunction() api.Function {
	t := i.threads
	last := len(t.spare) - 1
	if last < 0 {
		return i.module.ExportedFunction(exportThread)
	}
	f := t.spare[last]
	t.spare[last] = nil
	t.spare = t.spare[:last]
	t.parked -= stackSize(f)
	return f
}

// keepFunction makes the function of a thread that ends a spare one.
func (t *threads) keepFunction(f api.Function) {
	if size := stackSize(f); size <= keptStack && len(t.spare) < maxSpare {
		t.spare = append(t.spare, f)
		t.parked += size
	}
}

// dropSpare gives the spare functions up.
func (t *threads) dropSpare() {
	for _, f := range t.spare {
		t.parked -= stackSize(f)
	}
	t.spare = nil
}

// runThread is the life of a thread.
func (i *Instance) runThread(th *thread, argument uint32) {
	t := i.threads
	if !t.await(th) {
		return
	}
	i.resume(th)
	stack := [1]uint64{uint64(argument)}
	err := th.f.CallWithStack(i.base, stack[:])
	if t.living.Err() != nil {
		return
	}
	if err != nil {
		t.fail(i.explain(err))
		return
	}
	i.linear.charge.give(threadMemory)
	t.mu.Lock()
	delete(t.all, th)
	if t.named[argument] == th { // else another has got its name already
		delete(t.named, argument)
	}
	t.mu.Unlock()
	t.keepFunction(th.f)
	i.handOver(nil)
}

// fail ends all threads; the call ends with why.
func (t *threads) fail(why error) {
	t.mu.Lock()
	if t.failure == nil {
		t.failure, t.stuck = why, t.waitForEachOther()
	}
	t.mu.Unlock()
	t.endAll()
}

// endAll makes all threads but the first leave the guest.
func (t *threads) endAll() {
	t.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	for th := range t.all {
		select {
		case th.turn <- struct{}{}: // it sees why when it has received that
		default:
		}
	}
}

// waitForEachOther reports whether no thread can go on unless another one does. The
// caller holds mu.
func (t *threads) waitForEachOther() bool {
	waits := func(th *thread) bool { return th.in != nil && th.in != &t.ready && th.forever }
	for th := range t.all {
		if !waits(th) {
			return false
		}
	}
	return waits(t.first)
}

// areStuck reports whether the threads ended while all waited for each other.
func (t *threads) areStuck() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stuck
}

// await waits for a thread's turn, and is false when the threads end instead.
func (t *threads) await(th *thread) bool {
	<-th.turn
	return t.living.Err() == nil
}

// pause puts away what the thread that runs has for itself.
func (i *Instance) pause(th *thread) {
	t, memory := i.threads, i.module.Memory()
	th.stack = t.stack.Get()
	th.parked = stackSize(i.functionOf(th))
	t.parked += th.parked
	for n, at := range t.locals {
		th.locals[n], _ = memory.ReadUint32Le(at) // it was checked
	}
}

// resume gives a thread what it has for itself.
func (i *Instance) resume(th *thread) {
	t, memory := i.threads, i.module.Memory()
	t.stack.Set(th.stack)
	for n, at := range t.locals {
		memory.WriteUint32Le(at, th.locals[n])
	}
	i.calling = i.functionOf(th)
	t.parked -= th.parked
	th.parked = 0
	t.since = i.engine.now()
}

// functionOf returns the function that a thread has called.
func (i *Instance) functionOf(th *thread) api.Function {
	if th.f != nil {
		return th.f
	}
	return i.firstCalling
}

// handOver lets the next thread run, if one is ready. Otherwise the instance gives
// its turn back. th is the one that does not run any more; nil when it has ended.
func (i *Instance) handOver(th *thread) {
	t := i.threads
	if th != nil {
		i.pause(th)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = nil
	if t.ready.first != nil {
		t.runNext()
		return
	}
	i.leave()
}

// runNext lets the first of those that are ready run. The caller holds mu.
func (t *threads) runNext() {
	next := t.ready.first
	next.leaveQueue()
	t.running = next
	select {
	case next.turn <- struct{}{}:
	default: // all threads end, which it has been told
	}
}

// comeBack makes a thread that has waited run again. It blocks until it is its turn,
// or the call or the threads end.
func (i *Instance) comeBack(th *thread) {
	t := i.threads
	t.mu.Lock()
	free := t.running == nil
	if free {
		t.running = th
	} else {
		t.ready.push(th)
	}
	t.mu.Unlock()
	if !free {
		i.awaitTurn(th)
	}
	i.proceed(th)
}

// awaitTurn waits for a thread's turn. For the first one the call may end meanwhile.
func (i *Instance) awaitTurn(th *thread) {
	if th != i.threads.first {
		<-th.turn
	} else {
		select {
		case <-th.turn:
		case <-i.callOver().Done():
		}
	}
	i.checkThread(th)
}

// callOver is a context that ends with the call and with the threads.
func (i *Instance) callOver() context.Context {
	if i.over == nil {
		var cancel context.CancelFunc
		i.over, cancel = context.WithCancel(i.ctx)
		stop := context.AfterFunc(i.threads.living, cancel)
		unwatch := i.limit.watch(cancel)
		i.endOver = func() {
			unwatch()
			stop()
			cancel()
		}
	}
	return i.over
}

// checkFirst ends the call in the first thread, when it is over or the threads are.
func (i *Instance) checkFirst() {
	t := i.threads
	if why := i.overdue(); why != nil {
		t.fail(why)
	} else if i.callOver().Err() == nil {
		return
	} else if t.living.Err() == nil { // the clocks differ by less than it takes to look at them
		t.fail(ErrDeadline)
	}
	t.gone.Wait()
	t.mu.Lock()
	t.running = t.first
	t.mu.Unlock()
	if !i.module.IsClosed() { // one that exits takes the memory with it
		i.resume(t.first)
	}
	i.end(t.failure)
}

// proceed goes on with a thread that is the one that runs.
func (i *Instance) proceed(th *thread) {
	i.resume(th)
	if !i.entered {
		if err := i.enter(); err != nil {
			i.end(err)
		}
	}
	i.did(switchWork) // hundreds of threads may do no more than end
}

// threadLocals is vivarium.thread_locals(words, count): the addresses of the words of
// memory that each thread has for itself.
func threadLocals(ctx context.Context, m api.Module, stack []uint64) {
	i := instanceOf(ctx)
	words, count := api.DecodeU32(stack[0]), api.DecodeU32(stack[1])
	stack[0] = uint64(vfs.EINVAL)
	if count > maxLocals {
		return
	}
	var locals []uint32
	for n := range count {
		at, ok := m.Memory().ReadUint32Le(words + 4*n)
		if _, ok2 := m.Memory().ReadUint32Le(at); !ok || !ok2 {
			return
		}
		locals = append(locals, at)
	}
	i.withThreads().locals = locals
	stack[0] = 0
}

// threadWait is vivarium.thread_wait(address, expected, nanoseconds) -> errno.
func threadWait(ctx context.Context, m api.Module, stack []uint64) {
	address, expected, ns := api.DecodeU32(stack[0]), api.DecodeU32(stack[1]), int64(stack[2])
	i := instanceOf(ctx)
	i.did(switchWork)
	value, ok := m.Memory().ReadUint32Le(address)
	switch {
	case !ok:
		stack[0] = efault
	case value != expected:
		stack[0] = uint64(sockets.EAGAIN)
	default:
		stack[0] = uint64(i.waitFor(address, ns))
	}
}

// waitFor lets the thread that runs wait for a wake at an address, for so long unless
// that is negative.
func (i *Instance) waitFor(address uint32, ns int64) vfs.Errno {
	i.mustNotWait()
	i.seen.Slept++
	defer i.waiting()()
	t := i.withThreads()
	th := t.running
	t.mu.Lock()
	th.at, th.forever, th.woken = address, ns < 0, false
	t.waitingAt(address).push(th)
	t.mu.Unlock()
	var timeout <-chan time.Time
	if ns >= 0 {
		timer := time.NewTimer(time.Duration(ns))
		defer timer.Stop()
		timeout = timer.C
	}
	var over, interrupted <-chan struct{}
	if th == t.first {
		over, interrupted = i.callOver().Done(), i.interruption.ringing()
	}
	i.handOver(th)
	errno := vfs.Errno(0)
	select {
	case <-th.turn:
	case <-over:
	case <-timeout:
		errno = sockets.ETIMEDOUT
	case <-interrupted:
		errno = sockets.EINTR
	}
	i.checkThread(th)
	switch {
	case errno == 0:
		i.proceed(th)
	case t.forget(th):
		i.comeBack(th)
		i.heed()
		return errno
	default: // it was woken at that moment
		i.awaitTurn(th)
		i.proceed(th)
	}
	return 0
}

// checkThread makes a thread leave the guest when the call is over or the threads are.
func (i *Instance) checkThread(th *thread) {
	if th == i.threads.first {
		i.checkFirst()
	} else if i.threads.living.Err() != nil {
		panic(errThreads)
	}
}

// forget takes a thread out of those that wait, and is false when it has been woken.
func (t *threads) forget(th *thread) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if th.woken {
		return false
	}
	th.leaveQueue()
	return true
}

// threadWake is vivarium.thread_wake(address, count) -> how many.
func threadWake(ctx context.Context, _ api.Module, stack []uint64) {
	i := instanceOf(ctx)
	address, count := api.DecodeU32(stack[0]), int(api.DecodeI32(stack[1]))
	stack[0] = 0
	if t := i.threads; t != nil {
		n, passed := t.wake(address, count)
		i.did((n+1)<<10 + passed<<5)
		stack[0] = uint64(n)
	}
}

// wake makes up to count threads ready that wait at an address, and returns how many,
// and how many others it has passed.
func (t *threads) wake(address uint32, count int) (n, passed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var next *thread
	for th := t.waitingAt(address).first; th != nil && n < count; th = next {
		next = th.after
		if th.at != address {
			passed++
			continue
		}
		th.leaveQueue()
		th.woken = true
		t.ready.push(th)
		n++
	}
	return n, passed
}

// waitingQueues is how many queues those who wait are in: with as many threads as
// there may be, a few in each.
const waitingQueues = 256

// waitingAt returns the queue of those who wait at an address, and at some others.
func (t *threads) waitingAt(address uint32) *queue {
	return &t.waiting[address>>2%waitingQueues]
}

// queue is a list of threads, in the order in which they came. threads.mu guards it.
type queue struct{ first, last *thread }

// push adds a thread that is in no queue.
func (q *queue) push(th *thread) {
	th.in, th.before = q, q.last
	if q.last != nil {
		q.last.after = th
	} else {
		q.first = th
	}
	q.last = th
}

// leaveQueue takes a thread out of its queue.
func (th *thread) leaveQueue() {
	if th.before != nil {
		th.before.after = th.after
	} else {
		th.in.first = th.after
	}
	if th.after != nil {
		th.after.before = th.before
	} else {
		th.in.last = th.before
	}
	th.in, th.before, th.after = nil, nil, nil
}

// threadYield is vivarium.thread_yield() -> errno: those that are ready go first.
func threadYield(ctx context.Context, _ api.Module, stack []uint64) {
	i := instanceOf(ctx)
	i.did(switchWork)
	if t := i.threads; t != nil {
		i.mustNotWait()
		t.mu.Lock()
		th, others := t.running, t.ready.first != nil
		t.mu.Unlock()
		if others {
			i.pause(th)
			t.mu.Lock()
			t.ready.push(th)
			t.runNext()
			t.mu.Unlock()
			i.awaitTurn(th)
			i.proceed(th)
		}
	}
	stack[0] = 0
}

// giveOthers asks the guest to let other threads run, when some have been ready for a
// while. The thread that runs stands in the middle of a loop.
func (i *Instance) giveOthers() {
	t := i.threads
	t.mu.Lock()
	others := t.ready.first != nil
	t.mu.Unlock()
	ran := time.Duration(i.engine.now() - t.since)
	if !others || ran < preemptAfter || t.asking {
		return
	}
	t.asking = true
	defer func() { t.asking = false }()
	if t.preempt == nil {
		if t.preempt = i.module.ExportedFunction(exportPreempt); t.preempt == nil {
			return
		}
	}
	before := t.stack.Get()
	t.stack.Set(before - redZone)
	stack := [1]uint64{uint64(ran.Microseconds())}
	err := t.preempt.CallWithStack(i.base, stack[:])
	t.stack.Set(before)
	if err != nil {
		i.end(fmt.Errorf("wasm: %s: %w", exportPreempt, guestError(err)))
	}
}

// endThreads ends all threads but the first. It blocks until they have left the guest.
func (i *Instance) endThreads() {
	if t := i.threads; t != nil {
		t.endAll()
		t.gone.Wait()
	}
}

// waitBeside is wait for an instance with threads: others run meanwhile.
func (i *Instance) waitBeside(do func(ctx context.Context, deadline time.Time)) {
	th := i.threads.running
	ctx := i.threads.living // a thread may wait for longer than the call
	if th == i.threads.first {
		ctx = i.callOver()
	}
	t := i.threads
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.mu.Lock()
	th.interrupt = func() { cancel(sockets.ErrInterrupted) }
	t.mu.Unlock()
	over := func() {}
	if th == t.first {
		over = i.interruption.during(cancel)
	}
	i.handOver(th)
	do(ctx, time.Time{}) // the context knows when
	over()
	i.checkThread(th)
	i.comeBack(th)
	t.mu.Lock() // only now: while it waits for its turn, it can be interrupted too
	th.interrupt = nil
	t.mu.Unlock()
	if th == t.first {
		i.heed()
	}
}

// threadInterrupt is vivarium.thread_interrupt(thread) -> errno.
func threadInterrupt(ctx context.Context, _ api.Module, stack []uint64) {
	i := instanceOf(ctx)
	i.did(1 << 10)
	if t := i.threads; t != nil {
		t.mu.Lock()
		if th := t.named[api.DecodeU32(stack[0])]; th != nil && th.interrupt != nil {
			th.interrupt()
		}
		t.mu.Unlock()
	}
	stack[0] = 0
}
