package wasm

//go:generate sh -c "for f in testdata/*.wat; do wat2wasm $DOLLAR{f} -o $DOLLAR{f%.wat}.wasm; done"

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"
)

// newTestEngine compiles a guest of testdata.
func newTestEngine(t testing.TB, guest string, change func(*Config)) *Engine {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("testdata", guest))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Guest: module, Shells: 2, TempDir: t.TempDir()}
	if change != nil {
		change(&cfg)
	}
	e, err := NewEngine(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	return e
}

// actor returns a booted instance of acts.wat.
func actor(t testing.TB, e *Engine, limit int64) *Instance {
	t.Helper()
	image, err := e.Boot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	return cloneOf(t, e, image, limit)
}

func cloneOf(t testing.TB, e *Engine, image *Image, limit int64) *Instance {
	t.Helper()
	i, err := e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func invoke(t testing.TB, i *Instance, request string) string {
	t.Helper()
	r, err := i.Invoke(t.Context(), Call{Stdin: []byte(request)})
	if err != nil {
		t.Fatalf("invoke %q: %v", request, err)
	}
	return string(r.Body)
}

func TestInstance_KeepsMemoryAndGlobalsBetweenCalls(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", nil), 1<<20)
	for n, want := range []string{"1", "2", "3"} {
		if got := invoke(t, i, "c"); got != want {
			t.Errorf("call %d: got %q, want %q", n, got, want)
		}
	}
	if got := invoke(t, i, "mx") + invoke(t, i, "my"); got != "xxy" {
		t.Errorf("memory: got %q, want %q", got, "xxy")
	}
	if got := invoke(t, i, "d"); got != "booted" {
		t.Errorf("data segment: got %q, want %q", got, "booted")
	}
}

func TestImage_ClonesStartAlikeAndStayApart(t *testing.T) {
	e := newTestEngine(t, "acts.wasm", nil)
	i := actor(t, e, 1<<20)
	invoke(t, i, "ma")
	invoke(t, i, "c")
	image, err := i.Freeze("", "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	invoke(t, i, "mz") // the frozen state is no longer this instance's

	one, two := cloneOf(t, e, image, 1<<20), cloneOf(t, e, image, 1<<20)
	if got := invoke(t, one, "mb"); got != "ab" {
		t.Errorf("first clone: got %q, want %q", got, "ab")
	}
	if got := invoke(t, two, "mc"); got != "ac" {
		t.Errorf("second clone: got %q, want %q", got, "ac")
	}
	if got := invoke(t, one, "c"); got != "4" { // a, c, b, c
		t.Errorf("global of the clone: got %q, want %q", got, "4")
	}
}

func TestImage_KeepsGrownMemory(t *testing.T) {
	e := newTestEngine(t, "acts.wasm", nil)
	i := actor(t, e, 4<<20)
	invoke(t, i, "g")
	image, err := i.Freeze("", "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if got := cloneOf(t, e, image, 4<<20).MemorySize(); got != 4<<20 {
		t.Errorf("memory of the clone: got %d, want %d", got, 4<<20)
	}
	if _, err := e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: 2 << 20}); err == nil {
		t.Error("an image of 4 MiB was bound to a limit of 2 MiB")
	}
}

func TestInstance_EndsAtDeadlineAndOnCancel(t *testing.T) {
	for name, request := range map[string]string{"spinning": "s", "sleeping": "z"} {
		t.Run(name, func(t *testing.T) {
			e := newTestEngine(t, "acts.wasm", nil)
			i := actor(t, e, 1<<20)
			_, err := i.Invoke(t.Context(), Call{Stdin: []byte(request), Deadline: time.Now().Add(20 * time.Millisecond)})
			if !errors.Is(err, ErrDeadline) {
				t.Errorf("deadline: got %v, want %v", err, ErrDeadline)
			}
			if _, err := i.Invoke(t.Context(), Call{Stdin: []byte("c")}); !errors.Is(err, ErrClosed) {
				t.Errorf("call after the deadline: got %v, want %v", err, ErrClosed)
			}
			i = actor(t, e, 1<<20)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			if _, err := i.Invoke(ctx, Call{Stdin: []byte(request)}); !errors.Is(err, ErrCancelled) {
				t.Errorf("cancel: got %v, want %v", err, ErrCancelled)
			}
		})
	}
}

func TestInstance_NoticesADeadlineThatHasPassed(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", nil), 1<<20)
	_, err := i.Invoke(t.Context(), Call{Stdin: []byte("s"), Deadline: time.Now().Add(-time.Second)})
	if !errors.Is(err, ErrDeadline) {
		t.Errorf("got %v, want %v", err, ErrDeadline)
	}
}

func TestInstance_MemoryLimitIsExact(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", nil), 5<<20+pageSize)
	got := binary.LittleEndian.Uint32([]byte(invoke(t, i, "g")))
	if want := uint32((5<<20 + pageSize) / pageSize); got != want {
		t.Errorf("got %d pages, want %d", got, want)
	}
}

func TestInstance_FaultsAreTyped(t *testing.T) {
	trap := func(reason string) func(error) bool {
		return func(err error) bool {
			trap, ok := errors.AsType[*TrapError](err)
			return ok && strings.Contains(trap.Reason, reason)
		}
	}
	for name, c := range map[string]struct {
		request string
		is      func(error) bool
	}{
		"trap":                   {"t", trap("unreachable")},
		"endless recursion":      {"r", trap("stack overflow")},
		"response out of bounds": {"o", trap("outside its memory")},
		"exit": {"x", func(err error) bool {
			exit, ok := errors.AsType[*ExitError](err)
			return ok && exit.Code == 3
		}},
		"memory": {"G", func(err error) bool {
			memory, ok := errors.AsType[*MemoryError](err)
			return ok && memory.Limit == 1<<20
		}},
		"unknown status": {"u", func(err error) bool {
			status, ok := errors.AsType[*StatusError](err)
			return ok && status.Status == 7
		}},
		"no response": {"?", func(err error) bool { return errors.Is(err, ErrNoResponse) }},
	} {
		t.Run(name, func(t *testing.T) {
			i := actor(t, newTestEngine(t, "acts.wasm", nil), 1<<20)
			_, err := i.Invoke(t.Context(), Call{Stdin: []byte(c.request)})
			if err == nil || !c.is(err) {
				t.Errorf("got %T: %v", err, err)
			}
			if i.Usable() {
				t.Error("the instance is still usable")
			}
		})
	}
}

func TestInstance_SpentAfterItSaysSo(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", nil), 1<<20)
	r, err := i.Invoke(t.Context(), Call{Stdin: []byte("1")})
	if err != nil || !r.Spent || r.Kind != 2 || string(r.Body) != "booted" {
		t.Errorf("got %+v, %v", r, err)
	}
	if i.Usable() {
		t.Error("the instance is still usable")
	}
}

func TestInstance_ResponseOverTheLimitIsOnlyCounted(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", func(c *Config) { c.MaxResponse = 1 << 20 }), 8<<20)
	r, err := i.Invoke(t.Context(), Call{Stdin: []byte("R")})
	if err != nil || r.Body != nil || r.Size != 1114112 {
		t.Errorf("got %d bytes, size %d, %v", len(r.Body), r.Size, err)
	}
}

func TestInstance_StreamsAndObservations(t *testing.T) {
	i := actor(t, newTestEngine(t, "acts.wasm", nil), 1<<20)
	var out, errs bytes.Buffer
	if _, err := i.Invoke(t.Context(), Call{Stdin: []byte("whello"), Stdout: &out, Stderr: &errs}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "hello" || errs.String() != "hello" {
		t.Errorf("got %q and %q, want hello twice", &out, &errs)
	}
	i.ResetObserved()
	if o := i.Observed(); o != (Observations{}) {
		t.Errorf("observed before: %+v", o)
	}
	invoke(t, i, "a")
	if o := i.Observed(); o.Random != 8 || o.WallClock != 1 {
		t.Errorf("observed: %+v, want 8 random bytes and 1 reading of the clock", o)
	}
}

func TestEngine_RefusesAGuestOfAnotherABI(t *testing.T) {
	module, err := os.ReadFile("testdata/lacking.wasm")
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewEngine(t.Context(), Config{Guest: module, Shells: -1})
	for _, want := range []string{"vivarium_boot with signature", "vivarium_load", "vivarium_invoke", fmt.Sprint("ABI ", ABIVersion)} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %q", err, want)
		}
	}
	e := newTestEngine(t, "oldabi.wasm", nil)
	if _, err := e.Boot(t.Context(), nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint("implements ABI 99, this program ABI ", ABIVersion)) {
		t.Errorf("other version: got %v", err)
	}
}

func TestOpenImage_VerifiesTheFile(t *testing.T) {
	e := newTestEngine(t, "acts.wasm", nil)
	i := actor(t, e, 1<<20)
	invoke(t, i, "ma")
	path := filepath.Join(t.TempDir(), "an.image")
	frozen, err := i.Freeze(path, "owner", []byte("note"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	image, err := e.OpenImage(path, "owner")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if got := invoke(t, cloneOf(t, e, image, 1<<20), "mb"); got != "ab" || string(image.Note()) != "note" {
		t.Errorf("reopened: got %q with note %q", got, image.Note())
	}

	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		content []byte
		key     string
	}{
		"empty":                 {nil, "owner"},
		"truncated":             {good[:len(good)-1], "owner"},
		"only a header":         {good[:headerSize], "owner"},
		"longer":                {append(bytes.Clone(good), 0), "owner"},
		"another magic":         {flip(0), "owner"},
		"a bit in the header":   {flip(headerFixed + 3), "owner"},
		"a bit in the length":   {flip(len(imageMagic) + 3), "owner"},
		"a bit in the memory":   {flip(headerSize + 70), "owner"},
		"a bit in the last one": {flip(len(good) - 1), "owner"},
		"another owner":         {good, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.image")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if image, err := e.OpenImage(path, c.key); !errors.Is(err, ErrImage) {
				t.Errorf("got %v, %v, want %v", image, err, ErrImage)
			}
		})
	}
	if _, err := newTestEngine(t, "oldabi.wasm", nil).OpenImage(path, "owner"); !errors.Is(err, ErrImage) {
		t.Errorf("image of another guest: got %v, want %v", err, ErrImage)
	}
	other := newTestEngine(t, "acts.wasm", func(c *Config) { c.Key = "other files" })
	if _, err := other.OpenImage(path, "owner"); !errors.Is(err, ErrImage) {
		t.Errorf("image frozen with other files: got %v, want %v", err, ErrImage)
	}
}

// countTurn is a Turn that checks that its methods come in pairs.
type countTurn struct {
	t      *testing.T
	inside bool
	yields int
	used   time.Duration
	refuse error // by Enter
	revoke error // by Yield
}

func (c *countTurn) Enter(context.Context, time.Time) error {
	if c.inside {
		c.t.Error("Enter while inside")
	}
	c.inside = c.refuse == nil
	return c.refuse
}

func (c *countTurn) Yield(_ context.Context, _ time.Time, used time.Duration) error {
	if !c.inside {
		c.t.Error("Yield while outside")
	}
	c.yields++
	c.used += used
	c.inside = c.revoke == nil
	return c.revoke
}

func (c *countTurn) Leave(used time.Duration) {
	if !c.inside {
		c.t.Error("Leave while outside")
	}
	c.inside = false
	c.used += used
}

func TestInstance_TakesTurns(t *testing.T) {
	e := newTestEngine(t, "acts.wasm", nil)
	for _, request := range []string{"e", "t", "s", "z", "x"} {
		i := actor(t, e, 1<<20)
		c := &countTurn{t: t}
		_, _ = i.Invoke(t.Context(), Call{Stdin: []byte(request), Deadline: time.Now().Add(30 * time.Millisecond), Turn: c})
		if c.inside || computing.Load() != 0 {
			t.Errorf("request %q: the turn was not given back, or %d guests compute", request, computing.Load())
		}
		if request == "s" && (c.yields < 2 || c.used < 15*time.Millisecond) {
			t.Errorf("spinning: %d yields, %v used of 30 ms", c.yields, c.used)
		}
		if request == "z" && c.used > 20*time.Millisecond {
			t.Errorf("sleeping: %v used", c.used)
		}
		if i.CPUTime() != c.used {
			t.Errorf("request %q: CPU time %v, turn %v", request, i.CPUTime(), c.used)
		}
	}
	for request, c := range map[string]*countTurn{"e": {t: t, refuse: errors.New("no")}, "s": {t: t, revoke: errors.New("no")}} {
		_, err := actor(t, e, 1<<20).Invoke(t.Context(), Call{Stdin: []byte(request), Turn: c})
		if !errors.Is(err, ErrCancelled) || computing.Load() != 0 {
			t.Errorf("refused turn: got %v, and %d guests compute", err, computing.Load())
		}
	}
}

// The module of a guest is 11 MB or more.
func TestEngine_LetsGoOfTheModule(t *testing.T) {
	var kept weak.Pointer[byte]
	e := newTestEngine(t, "acts.wasm", func(cfg *Config) { kept = weak.Make(&cfg.Guest[0]) })
	runtime.GC()
	if kept.Value() != nil {
		t.Error("the engine keeps the module that it has compiled")
	}
	runtime.KeepAlive(e)
}

// TestEngine_LeavesNothingBehind creates, uses and breaks instances from
// several goroutines and then looks for leaked goroutines and mappings.
func TestEngine_LeavesNothingBehind(t *testing.T) {
	goroutines, mappings := runtime.NumGoroutine(), countMappings(t)
	func() {
		module, err := os.ReadFile("testdata/acts.wasm")
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewEngine(t.Context(), Config{Guest: module, Shells: 4})
		if err != nil {
			t.Fatal(err)
		}
		image, err := e.Boot(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for n := range 100 {
					i, err := e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: 1 << 20})
					if err != nil {
						t.Error(err)
						return
					}
					request := []string{"c", "t", "x", "r", "G"}[n%5]
					_, _ = i.Invoke(t.Context(), Call{Stdin: []byte(request)})
					i.Close()
				}
			})
		}
		wg.Wait()
		_ = image.Close()
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more than before", n-goroutines)
	}
	if n := countMappings(t); n > mappings+16 { // the Go heap may have grown
		t.Errorf("%d mappings more than before", n-mappings)
	}
}

func countMappings(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/maps")
	if errors.Is(err, os.ErrNotExist) {
		return 0 // no such file system: goroutines are still checked
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}
