package catalog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/wasm/vfs"
)

// recorder notes what a catalog has others do.
type recorder struct {
	mu       sync.Mutex         // guards all below
	limits   map[string]*Limits // of the versions that there are; nil before any are set
	removed  map[string]int     // how often
	given    int                // how often memory for code was given back
	dropped  []string           // functions
	forgot   []string
	listed   map[string]bool // what CollectImages was told
	dropping error           // what Drop answers
	unpacked error           // what Unpack answers
	prepared *fault.FunctionError

	holding chan struct{} // while not nil, Remove waits until it is closed
}

func newRecorder() *recorder {
	return &recorder{limits: map[string]*Limits{}, removed: map[string]int{}}
}

func (r *recorder) Unpack(context.Context, string, []byte) (*vfs.Tree, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unpacked != nil {
		return nil, nil, r.unpacked
	}
	return nil, func() { r.note(func() { r.given++ }) }, nil
}

func (r *recorder) Add(v *Version, _ *vfs.Tree, give func()) {
	r.mu.Lock()
	_, known := r.limits[v.ID]
	if !known {
		r.limits[v.ID] = nil
	}
	r.mu.Unlock()
	if known && give != nil {
		give()
	}
}

func (r *recorder) Prepare(context.Context, string) *fault.FunctionError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.prepared
}

func (r *recorder) SetLimits(versionID string, l Limits) {
	r.note(func() {
		if _, known := r.limits[versionID]; known {
			r.limits[versionID] = &l
		}
	})
}

func (r *recorder) Remove(versionID string) {
	r.mu.Lock()
	holding := r.holding
	r.mu.Unlock()
	if holding != nil {
		<-holding
	}
	r.note(func() { delete(r.limits, versionID); r.removed[versionID]++ })
}

func (r *recorder) CollectImages(listed map[string]bool) error {
	r.note(func() { r.listed = maps.Clone(listed) })
	return nil
}

func (r *recorder) drop(_ context.Context, f FunctionInfo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped = append(r.dropped, f.ID)
	return r.dropping
}

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// versions returns the versions that run.
func (r *recorder) versions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.limits))
}

// testCatalog is a catalog with what it has others do.
type testCatalog struct {
	*Catalog
	*recorder
	t     testing.TB
	store *store.Store
}

// memory returns a store that ends with the test.
func memory(t testing.TB) *store.Store {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	return s
}

// open returns a catalog with what a store has. The test may close it.
func open(t testing.TB, s *store.Store, configure ...func(*Config)) *testCatalog {
	t.Helper()
	r := newRecorder()
	cfg := Config{
		Store: s, Ledger: quota.New(quota.Config{}), Runner: r, KeepObsolete: -1, Drop: r.drop,
		Forget: func(f FunctionInfo) { r.note(func() { r.forgot = append(r.forgot, f.ID) }) },
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range configure {
		c(&cfg)
	}
	c := &testCatalog{Catalog: New(cfg), recorder: r, t: t, store: s}
	t.Cleanup(c.Close)
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// create makes a function of a tenant.
func (c *testCatalog) create(tenant, name string) FunctionInfo {
	c.t.Helper()
	f, err := c.CreateFunction(c.t.Context(), access.Operator, FunctionSpec{Name: name, Tenant: tenant})
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// version makes a version.
func (c *testCatalog) version(function, code string, tags ...string) VersionInfo {
	c.t.Helper()
	v, err := c.CreateVersion(c.t.Context(), access.Operator, function, VersionSpec{Entrypoint: "main.handler"}, []byte(code), tags)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
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
