package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/run"
	"vivarium/host/store"
	"vivarium/wasm/vfs"
)

// handler is what stands for a function's code. What it returns is the response.
type handler func(ctx context.Context, inv run.Invocation) ([]byte, error)

// callees are functions of a real catalog whose code is Go.
type callees struct {
	*catalog.Catalog

	mu       sync.Mutex         // guards all below
	handlers map[string]handler // by function id
	full     map[string]bool    // functions without room for one more call
	remarks  []string
}

func (c *callees) TenantOf(functionID string) string {
	f, _ := c.Function(access.Operator, functionID)
	return f.Tenant
}

func (c *callees) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	v, err := c.Resolve(p, inv.Function, inv.Tag)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	handle := c.handlers[v.FunctionID]
	c.mu.Unlock()
	body, err := handle(ctx, inv)
	return &run.Result{Version: v, Body: body}, err
}

func (c *callees) HasRoom(functionID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.full[functionID]
}

func (c *callees) Remark(_ string, _ logs.Level, message string, _ any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remarks = append(c.remarks, message)
}

// remarked returns the remarks that contain a text.
func (c *callees) remarked(containing string) (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.remarks {
		if strings.Contains(r, containing) {
			found = append(found, r)
		}
	}
	return found
}

// codeless is a catalog's runner that has nothing to run.
type codeless struct{}

func (codeless) Unpack(context.Context, string, []byte) (*vfs.Tree, func(), error) {
	return nil, func() {}, nil
}
func (codeless) Add(_ *catalog.Version, _ *vfs.Tree, give func()) {
	if give != nil {
		give()
	}
}
func (codeless) Prepare(context.Context, string) *fault.FunctionError { return nil }
func (codeless) SetLimits(string, catalog.Limits)                     {}
func (codeless) Remove(string)                                        {}
func (codeless) CollectImages(map[string]bool) error                  { return nil }

// testEvents are events with what they need.
type testEvents struct {
	*Events
	*callees
	t testing.TB
}

// open returns events on a store that the test closes. They make no call before Start.
func open(t testing.TB, s *store.Store) *testEvents {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	e := &testEvents{t: t, callees: &callees{handlers: map[string]handler{}, full: map[string]bool{}}}
	ledger := quota.New(quota.Config{Defaults: quota.Defaults()})
	e.callees.Catalog = catalog.New(catalog.Config{
		Store: s, Ledger: ledger, Runner: codeless{}, Log: log, KeepObsolete: -1, Forget: func(catalog.FunctionInfo) {},
		Drop: func(ctx context.Context, f catalog.FunctionInfo) error { return e.Drop(ctx, f) },
	})
	t.Cleanup(e.Catalog.Close)
	e.Events = New(Config{Store: s, Ledger: ledger, Functions: e.callees, Log: log})
	t.Cleanup(e.Events.Close)
	if err := e.Catalog.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// Close ends the events, and then what they need.
func (e *testEvents) Close() {
	e.Events.Close()
	e.Catalog.Close()
}

// start begins to make calls.
func (e *testEvents) start() {
	e.t.Helper()
	if err := e.Start(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

// bubble runs a test of events on a store in memory, in pretended time.
func bubble(t *testing.T, test func(t *testing.T, e *testEvents)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, inMemory(t)) })
}

// inMemory returns events on a store in memory.
func inMemory(t testing.TB) *testEvents {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	return open(t, s)
}

// onDisk opens the store in a directory, and events on it.
func onDisk(t testing.TB, dir string) (*testEvents, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, QueueBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return open(t, s), s
}

// function makes a function with a version that can be called asynchronously. In other
// tenants than the default one it is called TENANT/NAME.
func (e *testEvents) function(reference string, cfg catalog.AsyncConfig, handle handler) catalog.FunctionInfo {
	e.t.Helper()
	tenant, name, ok := strings.Cut(reference, "/")
	if !ok {
		tenant, name = "", reference
	}
	f, err := e.CreateFunction(e.t.Context(), access.Operator, catalog.FunctionSpec{Tenant: tenant, Name: name})
	if err != nil {
		e.t.Fatal(err)
	}
	e.handle(f.ID, handle)
	e.version(f.ID, &cfg)
	return f
}

// handle sets the code of a function.
func (e *testEvents) handle(functionID string, handle handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handlers[functionID] = handle
}

// version makes another version of a function.
func (e *testEvents) version(functionID string, async *catalog.AsyncConfig) {
	e.t.Helper()
	spec := catalog.VersionSpec{Entrypoint: "main.handler", Async: async}
	if _, err := e.CreateVersion(e.t.Context(), access.Operator, functionID, spec, []byte("code"), nil); err != nil {
		e.t.Fatal(err)
	}
}

// queue queues a call and returns its request id.
func (e *testEvents) queue(function, body string) (requestID string) {
	e.t.Helper()
	id, err := e.Events.Invoke(e.t.Context(), access.Operator, run.Invocation{Function: function, Body: []byte(body)})
	if err != nil || id == "" {
		e.t.Fatalf("not queued: %q, %v", id, err)
	}
	return id
}

// emptied waits until no queued call is left.
func (e *testEvents) emptied() {
	e.t.Helper()
	roomtest.Until(e.t, "an empty queue", func() bool {
		n, err := e.store.Queue.Len(e.t.Context())
		return err == nil && n == 0
	})
}

// deadLetters returns the dead letters within a principal's reach.
func (e *testEvents) deadLetters(p access.Principal) []DeadLetter {
	e.t.Helper()
	all, _, err := e.DeadLetters(e.t.Context(), p, "", 0, "")
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

// calls are the calls that handlers were given.
type calls struct {
	mu     sync.Mutex // guards bodies
	bodies []string
}

// handler returns code that notes each call and answers with answer.
func (c *calls) handler(answer func(inv run.Invocation) ([]byte, error)) handler {
	return func(_ context.Context, inv run.Invocation) ([]byte, error) {
		c.mu.Lock()
		c.bodies = append(c.bodies, string(inv.Body))
		c.mu.Unlock()
		return answer(inv)
	}
}

// all returns the bodies of the calls so far, in their order.
func (c *calls) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.bodies...)
}

func echo(inv run.Invocation) ([]byte, error) { return inv.Body, nil }

func failing(run.Invocation) ([]byte, error) {
	return nil, &fault.FunctionError{Type: "ValueError", Message: "no\nway"}
}

func member(tenant string) access.Principal {
	return access.Principal{KeyID: "aje-" + tenant, Tenant: tenant, Role: access.RoleDeployer}
}

func wantError[E error](t testing.TB, err error, containing string) {
	t.Helper()
	if _, ok := errors.AsType[E](err); !ok || !strings.Contains(err.Error(), containing) {
		t.Errorf("got %v (%T), want %T with %q", err, err, *new(E), containing)
	}
}

func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// item returns an item for a function, which nobody has queued yet.
func (e *testEvents) item(functionID, body string) store.Item {
	return store.Item{FunctionID: functionID, Body: []byte(body), Notes: map[string]string{noteRequest: "r-" + body}}
}
