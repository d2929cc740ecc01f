package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/wasip1"
)

// ABIVersion is the version of the guest ABI that this package implements.
// python-wasi/README.md describes it for authors of guests.
const ABIVersion = 5

// Exports that the ABI requires of a guest.
const (
	exportMemory     = "memory"
	exportInitialize = "_initialize"
	exportABIVersion = "vivarium_abi_version"
	exportBoot       = "vivarium_boot"
	exportLoad       = "vivarium_load"
	exportInvoke     = "vivarium_invoke"
)

// Imports that the ABI offers a guest, besides WASI preview 1.
const (
	hostModule   = "vivarium"
	hostRespond  = "respond"
	hostEndLines = "end_lines"
	hostSeed     = "seed"
	hostYield    = "yield" // inserted by the rewriter, never imported by the guest itself
	globalPrefix = "vivarium.global."
)

// Statuses that load and invoke return.
const (
	statusReusable = 0 // the instance may serve further calls
	statusSpent    = 1 // there is a response, but the instance must be discarded
	statusAwaiting = 2 // as statusReusable, and the guest is to be told before it ends
)

// checkExports returns an error that lists every export the guest is missing.
func checkExports(m wazero.CompiledModule) error {
	var missing []string
	if _, ok := m.ExportedMemories()[exportMemory]; !ok {
		missing = append(missing, exportMemory+" (a memory)")
	}
	functions := m.ExportedFunctions()
	for _, f := range []struct {
		name    string
		results []api.ValueType
	}{
		{exportInitialize, nil},
		{exportABIVersion, []api.ValueType{api.ValueTypeI32}},
		{exportBoot, []api.ValueType{api.ValueTypeI32}},
		{exportLoad, []api.ValueType{api.ValueTypeI32}},
		{exportInvoke, []api.ValueType{api.ValueTypeI32}},
	} {
		d, ok := functions[f.name]
		switch {
		case !ok:
			missing = append(missing, f.name)
		case len(d.ParamTypes()) != 0 || string(d.ResultTypes()) != string(f.results):
			missing = append(missing, fmt.Sprintf("%s with signature () -> %d results", f.name, len(f.results)))
		}
	}
	if missing != nil {
		return fmt.Errorf("wasm: the guest does not export %s; this program implements guest ABI %d",
			strings.Join(missing, ", "), ABIVersion)
	}
	return nil
}

// instantiateHost registers the host functions that guests import.
func instantiateHost(ctx context.Context, r wazero.Runtime) error {
	i32 := api.ValueTypeI32
	b := r.NewHostModuleBuilder(hostModule)
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(respond), []api.ValueType{i32, i32, i32}, nil).
		Export(hostRespond)
	b.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(yield), nil, []api.ValueType{i32}).
		Export(hostYield)
	b.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(endLines), nil, nil).
		Export(hostEndLines)
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(seed), []api.ValueType{i32, i32}, []api.ValueType{i32}).
		Export(hostSeed)
	i64 := api.ValueTypeI64
	for _, f := range []struct {
		name   string
		do     api.GoModuleFunc
		params []api.ValueType
	}{
		{"digest", digest, []api.ValueType{i32, i32, i32, i32}},
		{"thread_start", threadStart, []api.ValueType{i32, i32}},
		{"thread_wait", threadWait, []api.ValueType{i32, i32, i64}},
		{"thread_wake", threadWake, []api.ValueType{i32, i32}},
		{"thread_yield", threadYield, nil},
		{"thread_interrupt", threadInterrupt, []api.ValueType{i32}},
		{"thread_locals", threadLocals, []api.ValueType{i32, i32}},
	} {
		b.NewFunctionBuilder().WithGoModuleFunction(f.do, f.params, []api.ValueType{i32}).Export(f.name)
	}
	wasip1.ExportExtensions(b, filesOf)
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: host module %s: %w", hostModule, err)
	}
	return nil
}

// respond is vivarium.respond(kind, ptr, len): the guest hands over its
// response.
func respond(ctx context.Context, m api.Module, stack []uint64) {
	kind, ptr, size := api.DecodeU32(stack[0]), api.DecodeU32(stack[1]), api.DecodeU32(stack[2])
	i := instanceOf(ctx)
	i.lookUp() // a guest may call this any number of times
	i.respond(m, kind, ptr, size)
}

// endLines is vivarium.end_lines(): the next write to stdout and to stderr
// starts a new line.
func endLines(ctx context.Context, _ []uint64) {
	i := instanceOf(ctx)
	i.stdout.endLine()
	i.stderr.endLine()
}

// seed is vivarium.seed(ptr, len) -> errno: randomness that instances of one
// image may share, for keys that never leave the guest. Observations ignores
// it.
func seed(ctx context.Context, m api.Module, stack []uint64) {
	buf, err := guestBytes(m.Memory(), api.DecodeU32(stack[0]), min(api.DecodeU32(stack[1]), portion))
	if err != nil {
		stack[0] = efault
		return
	}
	_, _ = rand.Read(buf) // never fails
	instanceOf(ctx).did(8 * len(buf))
	stack[0] = 0
}

// yield is vivarium.yield() -> budget: the guest has used up its loop budget.
func yield(ctx context.Context, stack []uint64) {
	stack[0] = api.EncodeI32(instanceOf(ctx).yield())
}

// instanceKey is the context key that carries the Instance to host functions.
type instanceKey struct{}

func instanceOf(ctx context.Context) *Instance { return ctx.Value(instanceKey{}).(*Instance) }
