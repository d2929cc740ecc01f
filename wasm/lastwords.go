package wasm

import (
	"errors"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// exportStacks is what a guest may export to say where its threads stand:
// (waiting i32) -> (), with 1 when all of them wait for each other. The host calls it
// when the time of a call is up, in the middle of whatever the guest does, and throws
// the instance away afterwards.
const exportStacks = "vivarium_stacks"

// lastWordsTime is how long a guest may take for that. It counts as the guest's time;
// all that a guest gains by misusing it is that it ends so much later.
const lastWordsTime = 100 * time.Millisecond

// lastWords are a guest's, in the call that it could not end. The members belong to
// the thread that runs.
type lastWords struct {
	said  bool
	until int64 // on the engine's clock, while they are said; otherwise 0
}

// sayLastWords lets the guest say where it stands, when its time is up. Whatever
// comes of that changes nothing about how the call ends.
func (i *Instance) sayLastWords(why error) {
	if i.last.said || !errors.Is(why, ErrDeadline) || i.module.IsClosed() {
		return
	}
	i.last.said = true
	f := i.module.ExportedFunction(exportStacks)
	if f == nil {
		return
	}
	i.last.until = i.engine.now() + int64(lastWordsTime)
	defer func() { i.last.until = 0 }()
	if !i.entered && i.enter() != nil {
		return
	}
	if sp, ok := i.module.ExportedGlobal(stackPointer).(api.MutableGlobal); ok {
		sp.Set(sp.Get() - redZone)
	}
	waiting := uint64(0)
	if i.threads.areStuck() {
		waiting = 1
	}
	i.stdout.endLine()
	i.stderr.endLine()
	calling := i.calling
	i.calling = f // whose stack grows now
	_ = f.CallWithStack(i.base, []uint64{waiting})
	i.calling = calling
	i.stderr.endLine()
}

// mustNotWait ends last words that would wait.
func (i *Instance) mustNotWait() {
	if i.last.until != 0 {
		i.end(ErrDeadline)
	}
}

// timeUp returns why the guest must stop computing, or nil.
func (i *Instance) timeUp() error {
	if i.last.until == 0 {
		return i.overdue()
	}
	if i.engine.now() >= i.last.until {
		return ErrDeadline
	}
	return nil
}

// turnUntil is until when the guest may wait for its turn.
func (i *Instance) turnUntil() time.Time {
	if i.last.until == 0 {
		return i.limit.end()
	}
	return time.Now().Add(time.Duration(i.last.until - i.engine.now()))
}
