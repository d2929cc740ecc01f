package rewrite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const allFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesThreads | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesExceptionHandling |
	experimental.CoreFeaturesTypedFunctionReferences

// errStop is what a yield function panics with to stop a guest.
var errStop = errors.New("stopped")

// host runs modules, rewritten or not, in one test.
type host struct {
	rt     wazero.Runtime
	yield  func() int32
	yields int
}

func newHost(tb testing.TB) *host {
	tb.Helper()
	ctx := context.Background()
	h := &host{rt: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))}
	tb.Cleanup(func() { _ = h.rt.Close(ctx) })
	_, err := h.rt.NewHostModuleBuilder("vivarium").NewFunctionBuilder().WithFunc(func() int32 {
		h.yields++
		if h.yield == nil {
			return 1
		}
		return h.yield()
	}).Export("yield").Instantiate(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	// A host module can't export globals, so this one is a guest: (global (export "limit") i32 (i32.const 99)) and the
	// functions twice and seven.
	env := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x0a\x02\x60\x01\x7f\x01\x7f\x60\x00\x01\x7f" +
		"\x03\x03\x02\x00\x01" +
		"\x06\x07\x01\x7f\x00\x41\xe3\x00\x0b" +
		"\x07\x19\x03\x05twice\x00\x00\x05seven\x00\x01\x05limit\x03\x00" +
		"\x0a\x0e\x02\x07\x00\x20\x00\x20\x00\x6a\x0b\x04\x00\x41\x07\x0b")
	if _, err := h.rt.InstantiateWithConfig(ctx, env, wazero.NewModuleConfig().WithName("env")); err != nil {
		tb.Fatal(err)
	}
	return h
}

// start creates an instance, with the memory that a rewrite extracted.
func (h *host) start(tb testing.TB, module, memory []byte) api.Module {
	tb.Helper()
	m, err := h.rt.InstantiateWithConfig(context.Background(), module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		tb.Fatalf("instantiate: %v", err)
	}
	tb.Cleanup(func() { _ = m.Close(context.Background()) })
	if len(memory) > 0 && !m.Memory().Write(0, memory) {
		tb.Fatalf("initial memory of %d bytes does not fit", len(memory))
	}
	return m
}

func (h *host) startRewritten(tb testing.TB, module []byte, o Options) (api.Module, *Result) {
	tb.Helper()
	r := mustRewrite(tb, module, o)
	return h.start(tb, r.Module, r.Memory), r
}

// call returns the results of an exported function, or the first line of its
// failure.
func call(m api.Module, name string, args ...uint64) (results []uint64, failure string) {
	results, err := m.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil {
		failure, _, _ = strings.Cut(err.Error(), "\n")
	}
	return results, failure
}

func mustRewrite(tb testing.TB, module []byte, o Options) *Result {
	tb.Helper()
	r, err := Rewrite(module, o)
	if err != nil {
		tb.Fatalf("rewrite: %v", err)
	}
	return r
}

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// variants are ways to rewrite that a guest's results must not differ by.
func variants() map[string]Options {
	all := map[string]Options{"default": {}, "names": {KeepNames: true}}
	for _, budget := range []int32{1, 2, 3, 17} {
		all[fmt.Sprintf("budget %d", budget)] = Options{Budget: budget}
	}
	for omit := OmitLoops; omit <= OmitFusing; omit <<= 1 {
		all[fmt.Sprintf("without %#x", omit)] = Options{Budget: 2, Omit: omit}
	}
	return all
}
