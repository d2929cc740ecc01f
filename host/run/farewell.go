package run

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"vivarium/host/logs"
	"vivarium/wasm"
)

// Before an instance ends, its function's handler of SIGTERM runs (contract §7.2): when it
// was idle for too long, when its version is removed, and when the host ends. When its
// memory is needed by somebody else, at once, it does not: nobody waits for a stranger's
// handler.

// endPatience is how long a handler may take, waiting for its turn included. The cloud gives
// it 50 ms; a busy machine may need longer to let it begin.
const endPatience = time.Second

// Variables by which a function says what it wants, when they are 1.
const (
	noEndSignal  = "X_YCF_NO_GRACEFUL_SHUTDOWN_SIGNAL"
	endBySIGINT  = "X_YCF_GRACEFUL_SHUTDOWN_SIGNAL_SIGINT"
	variableIsOn = "1"
)

// awaitsEnd reports whether an instance that is idle is to be told that it ends.
func (in *instance) awaitsEnd() bool {
	return in.Usable() && in.AwaitsEnd() && in.pool.v.Environment[noEndSignal] != variableIsOn
}

// end closes an instance that is idle no longer. One that is to be told of it is closed in a
// goroutine, which start begins.
func (in *instance) end(start func(func())) {
	if in.awaitsEnd() {
		start(in.dismiss)
		return
	}
	in.pool.discard(in)
}

// dismiss is pool.discard for an instance that is to be told. It blocks for endPatience at most,
// besides what discard takes.
func (in *instance) dismiss() {
	p := in.pool
	signal := syscall.SIGTERM
	if p.v.Environment[endBySIGINT] == variableIsOn {
		signal = syscall.SIGINT
	}
	log := logs.NewCall(p.v.LogSource(""), p.r.maker.recorder(p.v))
	_, _ = in.Invoke(context.Background(), wasm.Call{ // how it ends makes no difference to who is gone
		Stdin: fmt.Appendf(nil, `{"signal":%d}`, signal), Stdout: log.Stdout(), Stderr: log.Stderr(),
		Deadline: time.Now().Add(endPatience), Turn: p.r.scheduler.turn(p.v.Tenant, p.v.FunctionID),
	})
	log.Flush()
	p.discard(in)
}
