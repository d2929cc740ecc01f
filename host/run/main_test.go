package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/wasm"
)

// testEngines runs the real guest. All tests share it, since compiling takes
// seconds.
var testEngines *Engines

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if processors := os.Getenv(peerVariable); processors != "" {
			return servePeer(processors)
		}
		ctx := context.Background()
		cache, err := os.UserCacheDir()
		if err == nil {
			testEngines, err = NewEngines(ctx, "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "wasm")})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer testEngines.Close(ctx)
		return m.Run()
	}())
}

// testHost is a runner with the versions that a test gives it, by name, and a record
// of their logs.
type testHost struct {
	*Runner
	t      testing.TB
	tokens *access.Tokens

	mu       sync.Mutex // guards the members below
	entries  []logs.Entry
	versions map[string]*catalog.Version
	old      []*catalog.Version
	// watch, when set before the first call, is told of each entry.
	watch func(logs.Entry)
}

// testConfig is what tests choose of a runner's.
type testConfig struct {
	ImageDir                     string
	MaxQueue, MaxCalls, MaxTries int
	IdleTimeout                  time.Duration
	MaxMemory                    int64
	Quotas                       quota.Amounts
	Engines                      *Engines    // nil means the one that tests share
	Fake                         *fakeEngine // in place of an engine
	NetCeiling                   *egress.Policy
	Forgetful                    bool // what functions log is not kept
	Debugger                     func(net.Conn)
}

func newTestHost(t testing.TB, cfg testConfig) *testHost {
	t.Helper()
	h := &testHost{t: t, versions: map[string]*catalog.Version{}}
	defaults := cfg.Quotas.Or(quota.Defaults())
	defaults[quota.Memory] = cmp.Or(defaults[quota.Memory], cfg.MaxMemory/4*3)
	ledger := quota.New(quota.Config{
		Defaults: defaults, Machine: quota.Amounts{quota.Memory: cfg.MaxMemory},
		Reclaim: func(tenant string, q quota.Quota, own bool) bool { return h.Reclaim(tenant, q, own) },
	})
	memory := store.Memory(store.Config{})
	book := logs.New(logs.Config{Store: memory, Ledger: ledger, Log: slog.New(slog.DiscardHandler), Echo: func(e logs.Entry) {
		if cfg.Forgetful {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.entries = append(h.entries, e)
		if h.watch != nil {
			h.watch(e)
		}
	}})
	var err error
	if h.tokens, err = access.NewTokens(); err != nil {
		t.Fatal(err)
	}
	e := engines(cmp.Or(cfg.Engines, testEngines))
	log := slog.Default()
	if cfg.Fake != nil {
		cfg.Fake.t, e, log = t, fakeEngines{cfg.Fake}, slog.New(slog.DiscardHandler)
	}
	h.Runner = newRunner(Config{
		Ledger: ledger, Book: book, Tokens: h.tokens, Log: log,
		Archive:  func(context.Context, *catalog.Version) ([]byte, error) { return nil, nil },
		ImageDir: cfg.ImageDir, MaxQueue: cmp.Or(cfg.MaxQueue, 100), IdleTimeout: cmp.Or(cfg.IdleTimeout, time.Hour),
		MaxCalls: cfg.MaxCalls, MaxMemory: cfg.MaxMemory, MaxTries: cmp.Or(cfg.MaxTries, DefaultMaxTries),
		Processors: runtime.GOMAXPROCS(0), NetCeiling: cfg.NetCeiling, Dialer: egress.Direct{},
		Debugger: cfg.Debugger,
	}, e)
	t.Cleanup(func() {
		h.Close()
		book.Close()
		memory.Close()
	})
	return h
}

// deploy makes a version of a function whose main.py is source, in place of the one
// that it had.
func (h *testHost) deploy(name, source string, spec catalog.VersionSpec) *catalog.Version {
	h.t.Helper()
	return h.deployFiles(name, fstest.MapFS{"main.py": {Data: []byte(source)}}, spec)
}

func (h *testHost) deployFiles(name string, files fstest.MapFS, spec catalog.VersionSpec) *catalog.Version {
	h.t.Helper()
	code, err := CodeFromFS(files)
	if err != nil {
		h.t.Fatal(err)
	}
	spec.Entrypoint = cmp.Or(spec.Entrypoint, "main.handler")
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		h.t.Fatal(err)
	}
	v := &catalog.Version{
		ID: catalog.NewID(catalog.VersionPrefix), FunctionID: "function-" + name, FunctionName: name,
		Tenant: access.DefaultTenant, CreatedAt: time.Now(), VersionSpec: spec, Transient: true,
	}
	h.Add(v, code, nil)
	h.SetLimits(v.ID, catalog.Limits{Ready: spec.MinInstances, Instances: spec.MaxInstances})
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.versions[name]; old != nil {
		h.old = append(h.old, old)
	}
	h.versions[name] = v
	return v
}

// Retire removes the versions that others have taken the place of.
func (h *testHost) Retire() {
	h.mu.Lock()
	old := h.old
	h.old = nil
	h.mu.Unlock()
	for _, v := range old {
		h.Remove(v.ID)
	}
}

// raw calls a function in raw mode.
func (h *testHost) raw(name, body string) (string, error) {
	return h.rawContext(h.t.Context(), name, body)
}

func (h *testHost) rawContext(ctx context.Context, name, body string) (string, error) {
	h.mu.Lock()
	v := h.versions[name]
	h.mu.Unlock()
	for {
		r, err := h.Invoke(ctx, v, Invocation{RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte(body)})
		if err != ErrRetired {
			return string(r.Body), err
		}
		h.mu.Lock()
		v = h.versions[name]
		h.mu.Unlock()
	}
}

// want calls a function in raw mode and compares its answer.
func (h *testHost) want(name, body, want string) {
	h.t.Helper()
	if got, err := h.raw(name, body); err != nil || got != want {
		h.t.Errorf("%s(%s): got %s, %v, want %s", name, body, got, err, want)
	}
}

// wantFault calls a function and compares its error type.
func (h *testHost) wantFault(name, body, errorType string) *fault.FunctionError {
	h.t.Helper()
	got, err := h.raw(name, body)
	fe, ok := errors.AsType[*fault.FunctionError](err)
	if !ok || fe.Type != errorType {
		h.t.Fatalf("%s(%.80s): got %s, %v, want a function error %s", name, body, got, err, errorType)
	}
	return fe
}

// instances returns how many instances of a version are idle and how many there
// are, and how many calls wait.
func (h *testHost) instances(v *catalog.Version) (idle, live, waiting int) {
	s := h.VersionStats(v.ID)
	return s.Idle, s.Idle + s.Busy, s.Waiting
}

// reclaim lets go of all that is of no immediate use to the default tenant.
func (h *testHost) reclaim() {
	for h.Reclaim(access.DefaultTenant, quota.Memory, true) {
	}
}

// log returns the messages that contain a text.
func (h *testHost) log(containing string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for _, e := range h.entries {
		if strings.Contains(e.Message, containing) {
			found = append(found, e.Message)
		}
	}
	return found
}

// firstInstance is about what the first instance of a version costs, with the pages
// of its image, in bytes.
const firstInstance = 27 << 19
