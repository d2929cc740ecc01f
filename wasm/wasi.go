package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"vivarium/wasm/wasip1"
)

// instantiateWASI assembles WASI: wazero's randomness and process calls, the
// file calls of package wasip1, and the instance's own clocks.
func instantiateWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	wasip1.Export(b, filesOf)
	i32, errno := api.ValueTypeI32, []api.ValueType{api.ValueTypeI32}
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(clockTimeGet), []api.ValueType{i32, api.ValueTypeI64, i32}, errno).
		Export("clock_time_get")
	b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(clockResGet), []api.ValueType{i32, i32}, errno).
		Export("clock_res_get")
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: wasi: %w", err)
	}
	return nil
}

func filesOf(ctx context.Context) *wasip1.Files { return instanceOf(ctx).files }
