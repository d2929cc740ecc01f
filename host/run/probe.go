package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"vivarium/host/fault"
	"vivarium/host/paced"
	"vivarium/wasm"
)

// probe is what came of loading a module once to see if its state may be shared.
type probe struct {
	note    imageNote
	sources []string // the function's files that were imported
	took    time.Duration
	// instance can be used though its state can't be shared. Nil when it may be,
	// or when the instance is of no use.
	instance *instance
	loadErr  *loadError
}

// maxPrinted is how much is kept of what a module prints to each stream while it
// loads and no call looks on, in bytes. The runtime's traceback fits.
const maxPrinted = 256 << 10

// printed is what a module printed while it was loaded.
type printed struct{ stdout, stderr []byte }

// tryLoad loads the user's module and reports whether its state may be shared.
func (m *maker) tryLoad(ctx context.Context, w guest, v *live) probe {
	request := v.loadRequest(nil)
	request.Freeze = true
	w.ResetObserved()
	start := time.Now()
	limit := v.Timeout
	if v.loading.unhurried.Load() || m.debugger != nil { // which is loaded too
		limit = max(limit, maxFreezeTime)
	}
	response, out, err := m.loadAlone(ctx, w, v, request, limit)
	t := probe{sources: []string{}, took: time.Since(start)}
	var answer loadResponse
	switch loadErr, ok := errors.AsType[*loadError](err); {
	case ok:
		t.loadErr, t.note.Failed = loadErr, true
		t.note.Why = []string{"the module can't be loaded"}
		return t
	case err != nil:
		t.note.Why, t.note.Failed = []string{"loading: " + err.Error()}, true
		return t
	case response.Spent:
		t.note.Why = []string{"the module ended the interpreter"}
		return t
	case len(response.Body) > maxLoadAnswer: // the function has had a hand in it
		t.note.Why = []string{"the answer to loading is too long"}
		return t
	}
	if err := json.Unmarshal(response.Body, &answer); err != nil {
		t.note.Why = []string{"loading: " + err.Error()}
		return t
	}
	t.sources = answer.Sources
	t.note.Why = append(answer.Impure, impurities(w.Observed())...)
	longest := max(len(out.stdout), len(out.stderr))
	if longest >= maxFreezeOutput {
		t.note.Why = append(t.note.Why, "importing it printed much")
	}
	switch t.note.Loaded = len(t.note.Why) == 0; {
	case t.note.Loaded:
		t.note.Stdout, t.note.Stderr = out.stdout, out.stderr
	case longest < maxPrinted: // else a part of it would be in no log
		// The runtime has got ready for the freeze unless it spoke against it.
		t.instance = &instance{
			guest: w, pool: v.pool, loaded: true, restored: len(answer.Impure) == 0, printed: out, loading: t.took, lastUsed: time.Now(),
		}
	}
	return t
}

// loadAlone lets an instance load the module of v where no call looks on, within a
// limit.
//
// # Errors
//
// *loadError, which is remembered for calls; ErrCancelled; anything else is the
// platform's own fault.
func (m *maker) loadAlone(
	ctx context.Context, w guest, v *live, request loadRequest, limit time.Duration,
) (answer *wasm.Response, out printed, err error) {
	var stdout, stderr limitedBuffer
	var loadErr error
	refused := v.loading.refused.Load()
	answer, err = w.Load(ctx, wasm.Call{
		Stdin: request.encode(), Stdout: &stdout, Stderr: &stderr,
		Deadline: time.Now().Add(limit), Turn: m.scheduler.turn(v.Tenant, v.FunctionID),
		Finish: func(r *wasm.Response, err error, work paced.Work) {
			if err == nil && r.Kind != responseJSON {
				loadErr = functionError(r.Body, work)
			}
		},
	})
	out = printed{stdout.b.Bytes(), stderr.b.Bytes()}
	if err != nil {
		loadErr = m.reporter.blame(v, "", err)
	}
	if fe, ok := errors.AsType[*fault.FunctionError](loadErr); ok {
		loadErr = v.loading.failed(fe, w.MemorySize(), refused, out)
	}
	return answer, out, loadErr
}

// loadError says that the module of a version doesn't load.
type loadError struct {
	*fault.FunctionError
	printed chan printed // what it printed meanwhile, for the log of one call; of capacity 1
	memory  int64        // bytes of linear memory that the instance had
	starved bool         // it was refused memory that the version may have
	until   time.Time    // it is not tried again before; zero when this is not remembered
}

// Unwrap returns the function's error.
func (f *loadError) Unwrap() error { return f.FunctionError }

// faultMemory is how long a module that doesn't load is not tried again: each
// try does again whatever it does before it fails.
const faultMemory = 10 * time.Second

// loading is what is known of how a version's module loads. Safe for concurrent
// use.
type loading struct {
	unhurried atomic.Bool               // no call waits: importing what the image keeps may outlast the timeout
	refused   atomic.Int64              // how often instances were refused memory that the version may have
	lastError atomic.Pointer[loadError] // of the last load that failed
}

// failed notes that the module doesn't load, unless that may have been for want
// of time, or of memory that was refused since there were so many refusals.
func (l *loading) failed(fe *fault.FunctionError, memory, refused int64, out printed) *loadError {
	loadErr := &loadError{FunctionError: fe, memory: memory, printed: make(chan printed, 1), starved: l.refused.Load() != refused}
	loadErr.printed <- out
	if !fe.TimedOut && !loadErr.starved {
		loadErr.until = time.Now().Add(faultMemory)
		l.lastError.Store(loadErr)
	}
	return loadErr
}

// known returns why the module doesn't load, when it was tried not long ago.
func (l *loading) known() *loadError {
	if loadErr := l.lastError.Load(); loadErr != nil && time.Now().Before(loadErr.until) {
		return loadErr
	}
	return nil
}

// impurities names what a guest did while it loaded that two instances must not
// have in common.
func impurities(o wasm.Observations) []string {
	var why []string
	for _, c := range []struct {
		seen bool
		name string
	}{
		{o.Random > 0, "importing it drew randomness"},
		{o.WallClock > 0, "importing it read the wall clock"},
		{o.Monotonic > 0, "importing it read the monotonic clock"},
		{o.CPUTime > 0, "importing it read its CPU time"},
		{o.Slept > 0, "importing it slept"},
		{o.Written, "importing it wrote a file"},
		{o.OpenFiles > 0, "importing it left a file open"},
		{o.Network > 0, "importing it used the network"},
		{o.Threads > 0, "importing it left a thread running"},
	} {
		if c.seen {
			why = append(why, c.name)
		}
	}
	return why
}

// limitedBuffer keeps the first maxPrinted bytes.
type limitedBuffer struct{ b bytes.Buffer }

// Write implements io.Writer.
func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), maxPrinted-l.b.Len())])
	return len(p), nil
}
