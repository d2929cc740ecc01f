package wasm

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Numbers of WASI preview 1 errors.
const (
	wasiEIO     = 29
	wasiENOTSUP = 58
)

// instantiateWASI makes wazero's WASI functions, with two changes.
//
// fd_renumber is refused: wazero's table of open files grows to whatever number
// a guest names, gigabytes if it likes.
//
// And errors that package vfs knows but wazero has no name for, such as "no
// space left", reach the guest as what they are instead of as EIO.
func instantiateWASI(ctx context.Context, r wazero.Runtime) error {
	i32 := api.ValueTypeI32
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	b.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = wasiENOTSUP }),
			[]api.ValueType{i32, i32}, []api.ValueType{i32}).
		Export("fd_renumber")
	ctx = experimental.WithFunctionListenerFactory(ctx, errnoListeners{})
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: wasi: %w", err)
	}
	return nil
}

// errnoListeners implements experimental.FunctionListenerFactory.
type errnoListeners struct{}

// NewFunctionListener listens to the functions that can fail with an error
// that wazero can't name.
func (errnoListeners) NewFunctionListener(d api.FunctionDefinition) experimental.FunctionListener {
	if slices.Contains([]string{
		"fd_write", "fd_pwrite", "fd_allocate", "fd_filestat_set_size", "fd_readdir",
		"path_open", "path_create_directory", "path_rename", "path_link", "path_remove_directory", "path_unlink_file",
	}, d.Name()) {
		return errnoListener{}
	}
	return nil
}

// errnoListener implements experimental.FunctionListener.
type errnoListener struct{}

// Before does nothing.
func (errnoListener) Before(context.Context, api.Module, api.FunctionDefinition, []uint64, experimental.StackIterator) {
}

// After puts the error that the file system has noted in the place of EIO.
func (errnoListener) After(ctx context.Context, _ api.Module, _ api.FunctionDefinition, results []uint64) {
	if n := instanceOf(ctx).root.TakeErrno(); n != 0 && results[0] == wasiEIO {
		results[0] = uint64(n)
	}
}

// Abort does nothing.
func (errnoListener) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}
