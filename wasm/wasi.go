package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"vivarium/wasm/wasip1"
)

// instantiateWASI makes WASI: wazero's clocks, randomness and process calls, and
// the file calls of package wasip1.
func instantiateWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	wasip1.Export(b, filesOf)
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: wasi: %w", err)
	}
	return nil
}

func filesOf(ctx context.Context) *wasip1.Files { return instanceOf(ctx).files }
