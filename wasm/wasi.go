package wasm

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"vivarium/wasm/vfs"
)

// Numbers of WASI preview 1 errors.
const (
	wasiEFAULT       = 21
	wasiEINVAL       = 28
	wasiEIO          = 29
	wasiENAMETOOLONG = 37
	wasiENOTSUP      = 58
)

// instantiateWASI makes wazero's WASI functions, with five changes.
//
// fd_renumber is refused: wazero's table of open files grows to whatever number
// a guest names, gigabytes if it likes.
//
// Errors that package vfs knows but wazero has no name for, such as "no space
// left", reach the guest as what they are instead of as EIO.
//
// A guest that has the host work for it, reading a large file again and again,
// makes few loop iterations meanwhile: it looks up at these calls, too.
//
// The clocks are the instance's own: see clock.go.
//
// And a path that is longer than any may be is refused unread: wazero would copy
// all of it, twice, before package vfs could see how long it is.
func instantiateWASI(ctx context.Context, r wazero.Runtime) error {
	i32 := api.ValueTypeI32
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	b.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = wasiENOTSUP }),
			[]api.ValueType{i32, i32}, []api.ValueType{i32}).
		Export("fd_renumber")
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(clockTimeGet), []api.ValueType{i32, api.ValueTypeI64, i32}, []api.ValueType{i32}).
		Export("clock_time_get")
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(clockResGet), []api.ValueType{i32, i32}, []api.ValueType{i32}).
		Export("clock_res_get")
	ctx = experimental.WithFunctionListenerFactory(ctx, wasiListeners{})
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: wasi: %w", err)
	}
	return nil
}

// pathLengths says which arguments of a function are the lengths of paths. The
// argument before each is where the path is.
var pathLengths = map[string][]int{
	"path_create_directory": {2}, "path_filestat_get": {3}, "path_filestat_set_times": {3}, "path_link": {3, 6},
	"path_open": {3}, "path_readlink": {2}, "path_remove_directory": {2}, "path_rename": {2, 5},
	"path_symlink": {1, 4}, "path_unlink_file": {2},
}

// costly are the other functions that can take long or fail with an error that
// wazero can't name.
var costly = []string{
	"fd_read", "fd_pread", "fd_write", "fd_pwrite", "fd_allocate", "fd_filestat_set_size", "fd_readdir", "poll_oneoff",
}

// wasiListeners implements experimental.FunctionListenerFactory.
type wasiListeners struct{}

// NewFunctionListener listens to the functions that instantiateWASI changes.
func (wasiListeners) NewFunctionListener(d api.FunctionDefinition) experimental.FunctionListener {
	lengths := pathLengths[d.Name()]
	if lengths == nil && !slices.Contains(costly, d.Name()) {
		return nil
	}
	return wasiListener{lengths}
}

// wasiListener implements experimental.FunctionListener.
type wasiListener struct{ pathLengths []int }

// Before looks up, and has a path that is too long read from outside the memory.
func (l wasiListener) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	i := instanceOf(ctx)
	i.lookUp()
	for _, n := range l.pathLengths {
		if uint32(params[n]) > vfs.MaxPath {
			params[n-1], params[n] = math.MaxUint32, math.MaxUint32
			i.longPath = true
		}
	}
}

// After puts the error that the file system has noted in the place of EIO.
func (l wasiListener) After(ctx context.Context, _ api.Module, _ api.FunctionDefinition, results []uint64) {
	i := instanceOf(ctx)
	if n := i.root.TakeErrno(); n != 0 && results[0] == wasiEIO {
		results[0] = uint64(n)
	}
	if i.longPath {
		i.longPath = false
		if results[0] == wasiEFAULT {
			results[0] = wasiENAMETOOLONG
		}
	}
}

// Abort does nothing.
func (wasiListener) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}
