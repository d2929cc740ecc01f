package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/logs"
	"vivarium/host/paced"
	"vivarium/host/quota"
	"vivarium/host/throttle"
	"vivarium/wasm"
)

// Invocation is one call of a function.
type Invocation struct {
	Function  string    // id or name
	Tag       string    // empty means LatestTag
	RequestID string    // a UUID, also the caller's X-Request-Id
	Received  time.Time // when the request came in: the deadline counts from here
	Raw       bool      // contract §2.4: the handler gets Body, no envelope
	// Kind is what made the call, for the history; empty means one over HTTP.
	Kind history.Kind
	// ReplayOf is the call in the history that this one repeats; empty for others.
	ReplayOf string
	// Observer, if set, is told where the call's time goes.
	Observer wasm.Observer
	// Kept, if set, gets what the history would keep of the call, instead of the history.
	Kept func(history.Made)

	// Event builds the event document, JSON (contract §2.1), in the function's turn.
	// Only in HTTP mode.
	Event func(work paced.Work) []byte
	// Body is the request's body. In HTTP mode it is only there when it has more
	// than LargeBody bytes; Event then leaves the event's body empty, but reports whether it
	// is base64.
	Body []byte

	// Accept says why a result can't be answered: the function's fault, which is
	// logged as one and which Invoke returns as it is. It is called in the
	// function's turn. Nil takes every result.
	Accept func(r *Result, work paced.Work) error
}

// LargeBody is the size, in bytes, up to which a body becomes a part of the event.
// The guest gets larger ones in base64: as text in JSON some have six times as many
// bytes.
const LargeBody = 64 << 10

// ResultKind says what the bytes of a Result are.
type ResultKind int

const (
	// ResultJSON is the JSON text of the value that the handler returned.
	ResultJSON ResultKind = iota
	// ResultBytes are the bytes that the handler returned in raw mode.
	ResultBytes
)

// Result is what a handler returned, not yet interpreted, and what the call
// took.
type Result struct {
	Version *catalog.Version // the version that served the call
	Kind    ResultKind
	Body    []byte
	Figures Figures
	Status  int // of the HTTP response that Accept has made of it; 0 if it has made none
}

// Figures are what one call took.
type Figures struct {
	Duration   time.Duration // all of it, from the request's arrival
	Queuing    time.Duration // waiting for an instance
	Init       time.Duration // making an instance and loading; 0 on a warm one
	Making     time.Duration // making the instance, which is a part of Init
	Handler    time.Duration // from handing the call over to the guest's answer
	CPU        time.Duration // computing
	PeakMemory int64         // bytes of linear memory
	Cold       bool          // the call was the instance's first
}

// Invoke lets an instance of a version process a call and returns what the handler
// returned. It blocks until then, at most until the version's execution timeout.
//
// # Errors
//
// ErrRetired when the version was removed before the call got an instance;
// fault.ErrBusy, *quota.Error, fault.ErrExhausted, fault.ErrCancelled, fault.ErrClosed,
// *fault.FunctionError, what Accept returned; anything else is the platform's own
// fault. The Result is there in spite of an error and has the version and the figures.
func (r *Runner) Invoke(ctx context.Context, version *catalog.Version, inv Invocation) (*Result, error) {
	r.metrics.calls.Add(1)
	v := r.version(version.ID)
	if v == nil {
		return &Result{Version: version}, ErrRetired
	}
	c := &call{
		r: r, v: v, inv: inv, result: &Result{Version: version},
		log: logs.NewCall(version.LogSource(inv.RequestID), r.maker.recorder(v)),
	}
	c.recording = c.remember()
	err := c.run(ctx)
	return c.result, err
}

// call is an invocation that is being processed.
type call struct {
	r         *Runner
	v         *live
	inv       Invocation
	result    *Result
	log       *logs.Call
	deadline  time.Time
	held      time.Duration // by a debugger
	unfit     bool          // the handler has returned, but nothing that can be answered
	recording *recording
}

func (c *call) run(ctx context.Context) error {
	tenant := c.v.Tenant
	if err := c.r.room.ledger.Take(tenant, quota.Call, 1); err != nil {
		c.refused(err)
		return err
	}
	defer c.r.room.ledger.Give(tenant, quota.Call, 1)
	c.deadline = c.inv.Received.Add(c.v.Timeout)
	figures := &c.result.Figures
	acquired := time.Now()
	patience := c.deadline.Add(-c.v.Timeout / 10) // what begins later would hardly end
	if c.debugged() {                             // another call, which stands still
		patience = patience.Add(debuggingTime)
	}
	in, err := c.v.pool.acquire(ctx, patience)
	if loadErr, ok := errors.AsType[*loadError](err); ok {
		figures.Init = time.Since(acquired)
		return c.unloadable(ctx, loadErr)
	}
	if errors.Is(err, ErrRetired) {
		return err // it is called again, of the version that is there now
	}
	if err != nil {
		if fault.Of(err) == fault.Internal {
			err = fmt.Errorf("function %s: instance: %w", c.v.FunctionID, err)
		}
		c.refused(err)
		return err
	}
	figures.Cold = in.calls == 0
	figures.Queuing = time.Since(acquired)
	if figures.Cold {
		figures.Init, figures.Queuing = figures.Queuing, 0
		// What the platform needs to make an interpreter is not the function's
		// time; loading the module is.
		figures.Making = max(0, figures.Init-in.loading)
		c.deadline = c.deadline.Add(figures.Making)
	}
	if c.debugged() {
		c.deadline = time.Now().Add(c.v.Timeout)
	}

	err = c.process(ctx, in)
	c.v.pool.release(in) // before the last log entries, which the next call need not wait for
	c.finish(err)
	c.keep(err)
	return err
}

// debuggingTime is how long calls wait at most for somebody who debugs another one.
const debuggingTime = 24 * time.Hour

// debugged reports whether the function has a debugger. Its own time is then what the
// handler takes: that the debugger is loaded, or has another call, is not its fault.
func (c *call) debugged() bool { return c.r.cfg.Debugger != nil }

// unloadable answers a call of a version whose module doesn't load. What that
// printed, its traceback above all, is logged once.
func (c *call) unloadable(ctx context.Context, loadErr *loadError) error {
	c.logStart()
	select {
	case out := <-loadErr.printed:
		c.result.Figures.Cold = true
		turn := c.r.scheduler.turn(c.v.Tenant, c.v.FunctionID)
		if turn.Enter(ctx, time.Time{}) == nil { // the caller is still there
			start := time.Now()
			c.replay(out, func(int) {}) // it is too little to give way
			turn.Leave(time.Since(start))
		}
	default:
		c.log.System(logs.LevelError, fmt.Sprintf("Version: %s The module didn't load when another call needed it: %s", c.v.ID, loadErr.Type))
	}
	c.result.Figures.PeakMemory = loadErr.memory
	c.result.Figures.Duration = time.Since(c.inv.Received)
	c.finish(loadErr.FunctionError)
	c.keep(loadErr.FunctionError)
	return loadErr.FunctionError
}

// replay logs what the module printed before there was a call.
func (c *call) replay(out printed, work paced.Work) {
	c.log.WriteAll(out.stdout, out.stderr, work)
}

func (c *call) logStart() {
	c.log.System(logs.LevelInfo, fmt.Sprintf("START RequestID: %s Version: %s", c.inv.RequestID, c.v.ID))
}

// process lets an instance process the call, between the first of its log
// entries and the last of the function's own.
func (c *call) process(ctx context.Context, in *instance) error {
	c.logStart()
	err := c.serve(ctx, in)
	c.log.Flush()
	c.recording.network(in.guest)
	for _, refused := range endNetwork(in.guest) {
		c.r.metrics.refusals.Add(1)
		c.log.System(logs.LevelWarn, "Network: "+refused)
	}
	c.result.Figures.PeakMemory = in.MemorySize()
	c.result.Figures.Duration = time.Since(c.inv.Received) - c.held
	return err
}

// serve makes the guest calls of one invocation.
func (c *call) serve(ctx context.Context, in *instance) error {
	restored := in.restored
	if !in.loaded {
		start := time.Now()
		refused := c.v.loading.refused.Load()
		secrets, err := c.r.maker.secrets(c.v.Version)
		if fault.Of(err) == fault.Function {
			c.log.System(logs.LevelError, err.Error())
		}
		if c.debugged() {
			c.deadline = start.Add(max(c.v.Timeout, maxFreezeTime))
		}
		if err == nil {
			err = c.enter(ctx, in.Load, func(paced.Work) []byte { return c.v.loadRequest(secrets).encode() }, c.loaded)
		}
		c.result.Figures.CPU += in.CPUTime()
		c.result.Figures.Init += time.Since(start) - in.Held()
		c.wasHeld(in)
		if c.debugged() {
			c.deadline = time.Now().Add(c.v.Timeout)
		}
		c.result.Figures.Handler = 0
		if err != nil {
			in.Retire() // half a module is loaded, which no other call should find
			if fe, ok := errors.AsType[*fault.FunctionError](err); ok {
				<-c.v.loading.failed(fe, in.MemorySize(), refused, printed{}).printed // this call has logged it
			}
			return err
		}
		in.loaded = true
	}
	err := c.enter(ctx, in.Invoke, func(work paced.Work) []byte {
		c.replay(in.printed, work)
		in.printed, in.restored = printed{}, false
		token := c.r.maker.tokens.Issue(c.v.Tenant, c.v.ServiceAccountID, c.v.FunctionID, time.Now())
		return c.v.invokeRequest(c.inv, token, c.deadline, restored, work)
	}, c.returned)
	c.result.Figures.CPU += in.CPUTime()
	c.wasHeld(in)
	return err
}

// wasHeld takes into account for how long a debugger has held a guest call.
func (c *call) wasHeld(in *instance) {
	c.held += in.Held()
	c.result.Figures.Handler -= in.Held()
	c.deadline = c.deadline.Add(in.Held())
}

// enter makes a guest call. What surrounds it is done in the function's turn:
// making the request, reading the response, and the log.
func (c *call) enter(
	ctx context.Context, guest func(context.Context, wasm.Call) (*wasm.Response, error),
	request func(paced.Work) []byte, read func(*wasm.Response, paced.Work) error,
) error {
	var start time.Time
	var failure error
	_, err := guest(ctx, wasm.Call{
		Stdout: c.log.Stdout(), Stderr: c.log.Stderr(), Deadline: c.deadline,
		Observer: c.inv.Observer,
		Turn:     c.r.scheduler.turn(c.v.Tenant, c.v.FunctionID),
		Prepare: func(work paced.Work) []byte {
			b := request(work)
			start = time.Now() // waiting for the turn is not the handler's time
			return b
		},
		Finish: func(r *wasm.Response, err error, work paced.Work) {
			c.result.Figures.Handler = time.Since(start)
			c.log.Flush()
			if err == nil {
				failure = read(r, work)
			}
		},
	})
	if err != nil {
		return c.blame(err)
	}
	return failure
}

// loaded reads the response to a load.
func (c *call) loaded(r *wasm.Response, work paced.Work) error {
	if r.Kind == responseError {
		return c.interpret(r, work)
	}
	return nil
}

// returned reads the response to an invocation.
func (c *call) returned(r *wasm.Response, work paced.Work) error {
	if err := c.interpret(r, work); err != nil || c.inv.Accept == nil {
		return err
	}
	if err := c.inv.Accept(c.result, work); err != nil {
		c.unfit = true
		c.log.System(logs.LevelError, err.Error())
		return err
	}
	return nil
}

// interpret takes the guest's response.
func (c *call) interpret(r *wasm.Response, work paced.Work) error {
	limit := int64(MaxResponse)
	if r.Kind == responseJSON && !c.inv.Raw {
		limit = maxResult
	}
	if r.Size > limit {
		return &fault.FunctionError{Type: "ResponseTooLarge",
			Message: fmt.Sprintf("the response has %d bytes; at most %d are allowed", r.Size, limit)}
	}
	switch r.Kind {
	case responseJSON:
		c.result.Kind, c.result.Body = ResultJSON, r.Body
	case responseBytes:
		c.result.Kind, c.result.Body = ResultBytes, r.Body
	case responseError:
		return functionError(r.Body, work)
	default:
		return fmt.Errorf("host: the guest gave a response of kind %d", r.Kind)
	}
	return nil
}

// MaxResponse is the largest body that a function may answer with, in bytes as
// they are delivered (contract §7.3).
const MaxResponse = 3_670_016

// maxResult bounds the JSON text of what a handler returns in HTTP mode. It holds
// the largest body, each byte of which can be six in JSON; how large the body is,
// whoever interprets the result sees. A megabyte is for all else.
const maxResult = 6*MaxResponse + 1<<20

// blame says whose fault it is that a guest call failed.
func (c *call) blame(err error) error { return c.r.reporter.blame(c.v, c.inv.RequestID, err) }

// reporter tells the operator what functions' code has done to the guest. Safe for
// concurrent use.
type reporter struct {
	log      *slog.Logger
	warnings *throttle.Throttle
}

// blame says whose fault it is that a guest of v failed. No call has made it do
// what it did when there is no request id.
func (r *reporter) blame(v *live, requestID string, err error) error {
	memory, short := errors.AsType[*wasm.MemoryError](err)
	exit, exited := errors.AsType[*wasm.ExitError](err)
	trap, trapped := errors.AsType[*wasm.TrapError](err)
	_, brokeOff := errors.AsType[*wasm.StatusError](err)
	switch {
	case errors.Is(err, wasm.ErrDeadline):
		return &fault.FunctionError{Type: "ExecutionTimeout", TimedOut: true,
			Message: fmt.Sprintf("Execution timeout exceeded: %d ms", v.Timeout.Milliseconds())}
	case errors.Is(err, wasm.ErrCancelled):
		return fault.ErrCancelled
	case short && memory.Owner:
		return &fault.FunctionError{Type: "OutOfMemory", Message: "the interpreter ran out of memory: its limit is not reached, " +
			"but its tenant's quota of memory is used up, or the server's memory"}
	case short:
		return &fault.FunctionError{Type: "OutOfMemory",
			Message: fmt.Sprintf("the interpreter ran out of memory: the limit is %d MB", v.MemoryMB)}
	case exited:
		return &fault.FunctionError{Type: "RuntimeExit",
			Message: fmt.Sprintf("the process ended itself with exit code %d", exit.Code)}
	case trapped:
		r.warn("guest trapped", v, "request_id", requestID, "reason", trap.Reason, "trace", trap.Trace)
		return &fault.FunctionError{Type: "RuntimeExit", Message: "the interpreter ended: " + trap.Reason}
	}
	if brokeOff || errors.Is(err, wasm.ErrNoResponse) {
		// Our own runtime does not do this by itself. A function can make it,
		// by closing the file that the request comes from, for example.
		r.warn("guest broke off", v, "request_id", requestID, "reason", err)
		return &fault.FunctionError{Type: "RuntimeExit", Message: "the interpreter can't go on: the function has broken its runtime"}
	}
	return fmt.Errorf("function %s: %w", v.FunctionID, err)
}

// warn tells the operator what a function's code has done. It can do so at will,
// so only some of it is told: the next line says how many were left out.
func (r *reporter) warn(message string, v *live, args ...any) {
	who := v.FunctionID
	if v.Tenant == tryTenant || v.isSession() { // of which each is a function of its own
		who = v.Tenant
	}
	ok, dropped := r.warnings.Allow(who, 1)
	if !ok {
		return
	}
	args = append([]any{"function", v.FunctionID, "version", v.ID}, args...)
	if dropped > 0 {
		args = append(args, "dropped", dropped)
	}
	r.log.Warn(message, args...)
}

// refused logs a call that got no instance.
func (c *call) refused(err error) {
	c.result.Figures.Duration = time.Since(c.inv.Received)
	// That a caller has gone, or the host goes down, says nothing about the function.
	if k := fault.Of(err); k != fault.Cancelled && k != fault.Closed {
		c.v.figures.call(time.Now(), -1, true)
	}
	c.logError(err)
}

// finish writes the log entries that end each call, well or not.
func (c *call) finish(err error) {
	if err != nil {
		c.logError(err)
	}
	f := c.result.Figures
	if !errors.Is(err, fault.ErrCancelled) {
		c.v.figures.call(c.inv.Received.Add(f.Duration), f.Duration, err != nil)
	}
	c.log.System(logs.LevelInfo, "END RequestID: "+c.inv.RequestID)
	report := fmt.Sprintf("REPORT RequestID: %s Duration: %s ms Billed Duration: %s ms Memory Size: %d MB"+
		" Max Memory Used: %d MB Queuing Duration: %s ms", c.inv.RequestID, millis(f.Duration), billed(f.Duration),
		c.v.MemoryMB, f.PeakMemory>>20, millis(f.Queuing))
	if f.Cold {
		report += fmt.Sprintf(" Function Init Duration: %s ms", millis(f.Init))
	}
	c.log.System(logs.LevelInfo, report)
}

// outcomes says what the log of a function tells of a call that failed (contract
// §4). What is not here is the platform's own fault.
var outcomes = map[fault.Kind]struct {
	code    int // HTTP status
	message string
}{
	fault.NotFound:    {404, "No such function or tag"},
	fault.OverQuota:   {429, "No node can serve the request"},
	fault.Busy:        {429, "No node can serve the request: every instance is busy"},
	fault.Exhausted:   {429, "No node can serve the request: the machine has no more memory to give"},
	fault.Cancelled:   {499, "Request cancelled"},
	fault.Function:    {502, "Error during function invocation"},
	fault.Timeout:     {504, "Execution timeout exceeded"},
	fault.Closed:      {503, "The service is shutting down"},
	fault.Unavailable: {503, "The store is unavailable"},
	fault.Preparing:   {503, "The runtime is being prepared"},
}

// logError writes the entry that says how a call failed.
func (c *call) logError(err error) {
	code, message := c.outcome(err)
	if full, ok := errors.AsType[*quota.Error](err); ok {
		message += ": " + full.Reason()
	}
	c.log.System(logs.LevelError, fmt.Sprintf("ERROR RequestID: %s Code: %d Message: %s", c.inv.RequestID, code, message))
}

// outcome returns the HTTP status of a call that failed, and what it means.
func (c *call) outcome(err error) (code int, message string) {
	kind := fault.Of(err)
	if c.unfit {
		kind = fault.Function
	}
	if o, ok := outcomes[kind]; ok {
		return o.code, o.message
	}
	return 500, "Internal error"
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d)/1e6) }

// billed rounds up to a tenth of a millisecond (contract §12).
func billed(d time.Duration) string { return fmt.Sprintf("%.3f", math.Ceil(float64(d)/1e5)/10) }
