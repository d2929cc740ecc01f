package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/run"
	"vivarium/wasm"
)

// What an instance may have: memory, and what it reaches.
const (
	memoryMB = 1024
	network  = "localhost,localhost/udp"
)

// Outcome is the outcome of a module's tests.
type Outcome struct {
	Passed  []string            `json:"passed"`
	Skipped map[string][]string `json:"skipped"` // by reason
	Failed  map[string]string   `json:"failed"`  // the exceptions
	Details map[string]string   `json:"details"` // the tracebacks of failed tests
	Skip    string              `json:"skip"`    // why the whole module was skipped
	Error   string              `json:"error"`   // why it did not finish
	CPU     time.Duration       `json:"-"`
}

// runner runs modules through a host, like any function. Safe for concurrent
// use.
type runner struct {
	engines *run.Engines
	host    *host.Host
	trace   io.Writer // receives what tests print; may be nil
}

// newRunner deploys the suite; timeout bounds each module.
func newRunner(ctx context.Context, s *suite, timeout time.Duration) (*runner, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	engines, err := run.NewEngines(ctx, "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "wasm")})
	if err != nil {
		return nil, err
	}
	r := &runner{engines: engines}
	// The tests talk within their instance. What they find closed must be so for the
	// system's reasons, not for a policy's.
	reach, err := egress.ParsePolicy(network)
	if err == nil {
		r.host, err = host.New(host.Config{Engines: engines, MaxCalls: 1, Logs: r.log, NetCeiling: reach})
	}
	if err == nil {
		spec := catalog.VersionSpec{Entrypoint: "suite.handler", MemoryMB: memoryMB, Timeout: timeout, AllowNet: network}
		_, err = r.host.Catalog().DeployTransient(access.Operator, "suite", spec, s.code)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() {
	if r.host != nil {
		r.host.Close()
	}
	r.engines.Close(context.Background())
}

func (r *runner) log(e logs.Entry) {
	if r.trace != nil {
		fmt.Fprintln(r.trace, e.Message)
	}
}

// run runs one module in an instance of its own.
func (r *runner) run(ctx context.Context, pass Pass, module string) Outcome {
	body, err := json.Marshal(map[string]any{"module": module, "pass": pass, "trace": r.trace != nil})
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	result, err := r.host.Invoke(ctx, access.Operator, run.Invocation{
		Function: "suite", RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: body,
	})
	var o Outcome
	if err == nil {
		err = json.Unmarshal(result.Body, &o)
	}
	if failed, ok := errors.AsType[*fault.FunctionError](err); ok {
		o.Error = failed.Type + ": " + failed.Message
	} else if err != nil {
		o.Error = err.Error()
	}
	if result != nil {
		o.CPU = result.Figures.CPU
	}
	return o
}

// compare runs a module and names what was known to pass and no longer does.
// What depends on the machine's load gets a second chance.
func (r *runner) compare(ctx context.Context, pass Pass, module string, known, base Module) (m Module, o Outcome, losses []string) {
	for range 2 {
		o = r.run(ctx, pass, module)
		m = pass.of(module, base, o)
		if losses = lost(module, known, m); len(losses) == 0 {
			break
		}
	}
	return m, o, losses
}

// each calls do for each module, some concurrently, and the functions that do
// returns one at a time.
func each(ctx context.Context, jobs int, modules []string, do func(module string) (done func())) error {
	var mu sync.Mutex // serializes done
	var group sync.WaitGroup
	next := make(chan string)
	for range max(jobs, 1) {
		group.Go(func() {
			for module := range next {
				done := do(module)
				if ctx.Err() != nil {
					continue // all it found is that it was interrupted
				}
				mu.Lock()
				done()
				mu.Unlock()
			}
		})
	}
	for _, module := range modules {
		if ctx.Err() != nil {
			break
		}
		next <- module
	}
	close(next)
	group.Wait()
	return ctx.Err()
}
