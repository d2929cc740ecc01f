package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/keys"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/wasm"
)

// testEngines runs the real guest. All tests share it, since compiling takes
// seconds.
var testEngines *run.Engines

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(peerVariable) != "" {
			return servePeer()
		}
		ctx := context.Background()
		cache, err := os.UserCacheDir()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		testEngines, err = run.NewEngines(ctx, "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "wasm")})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer testEngines.Close(ctx)
		if dir := os.Getenv(crashDirVariable); dir != "" {
			fmt.Fprintln(os.Stderr, crashWorker(dir))
			return 1
		}
		return m.Run()
	}())
}

// testHost is a host with a record of its log.
type testHost struct {
	*Host
	t  testing.TB
	mu sync.Mutex
	// entries are guarded by mu.
	entries []logs.Entry
	// watch, when set before the first call, is told of each entry.
	watch func(logs.Entry)
}

func newTestHost(t testing.TB, cfg Config) *testHost {
	t.Helper()
	th := &testHost{t: t}
	cfg.Engines = testEngines
	cfg.Logs = func(e logs.Entry) {
		th.mu.Lock()
		defer th.mu.Unlock()
		th.entries = append(th.entries, e)
		if th.watch != nil {
			th.watch(e)
		}
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	th.Host = h
	return th
}

// deploy makes a version of a function whose main.py is source.
func (h *testHost) deploy(name, source string, spec catalog.VersionSpec) *catalog.Version {
	h.t.Helper()
	return h.deployFiles(name, fstest.MapFS{"main.py": {Data: []byte(source)}}, spec)
}

func (h *testHost) deployFiles(name string, files fstest.MapFS, spec catalog.VersionSpec) *catalog.Version {
	h.t.Helper()
	code, err := run.CodeFromFS(files)
	if err != nil {
		h.t.Fatal(err)
	}
	if spec.Entrypoint == "" {
		spec.Entrypoint = "main.handler"
	}
	v, err := h.Catalog().DeployTransient(access.Operator, name, spec, code)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// key makes a key as the operator.
func (h *testHost) key(tenant string, role access.Role) keys.Key {
	h.t.Helper()
	key, _, err := h.keys.Create(h.t.Context(), access.Operator, keys.Spec{Tenant: tenant, Role: role})
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

// functions returns all functions.
func (h *testHost) functions() []catalog.FunctionInfo {
	h.t.Helper()
	all, err := h.catalog.Functions(access.Operator)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// allTenants returns what all tenants may have and have.
func (h *testHost) allTenants() []TenantQuotas {
	h.t.Helper()
	all, err := h.tenants.All(access.Operator)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// instances returns how many instances of a version are idle and how many there
// are, and how many calls wait.
func (h *testHost) instances(v *catalog.Version) (idle, live, waiting int) {
	s := h.runner.VersionStats(v.ID)
	return s.Idle, s.Idle + s.Busy, s.Waiting
}

// reclaim lets go of all that is of no immediate use.
func (h *testHost) reclaim() {
	for _, tenant := range h.allTenants() {
		for h.runner.Reclaim(tenant.Tenant, quota.Memory, true) {
		}
	}
}

// raw calls a function in raw mode.
func (h *testHost) raw(name, body string) (string, error) {
	return h.rawContext(h.t.Context(), name, body)
}

func (h *testHost) rawContext(ctx context.Context, name, body string) (string, error) {
	r, err := h.Invoke(ctx, access.Operator, run.Invocation{
		Function: name, RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte(body),
	})
	if r == nil {
		return "", err
	}
	return string(r.Body), err
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

// wantFrozen reports it if each instance of a function imports the module itself.
func (h *testHost) wantFrozen(name string) {
	h.t.Helper()
	v, err := h.Resolve(access.Operator, name, "")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.runner.Prepare(h.t.Context(), v.ID); err != nil { // blocks until the image is made
		h.t.Errorf("%s: %v", name, err)
	}
	if why := h.log("Version: " + v.ID + " Each instance imports the module itself"); len(why) > 0 {
		h.t.Errorf("%s is not frozen: %v", name, why)
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
