package wasip1

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/vfs"
)

// call is a function that the guest imports: i is a 32-bit parameter, l a
// 64-bit one. All return an error number.
type call struct {
	name, params string
	do           func(*Files, api.Memory, []uint64) vfs.Errno
}

// calls are those of WASI.
var calls = []call{
	{"fd_advise", "illi", (*Files).fdNothing},
	{"fd_allocate", "ill", (*Files).fdAllocate},
	{"fd_close", "i", (*Files).fdClose},
	{"fd_datasync", "i", (*Files).fdNothing},
	{"fd_fdstat_get", "ii", (*Files).fdStat},
	{"fd_fdstat_set_flags", "ii", (*Files).fdSetFlags},
	{"fd_fdstat_set_rights", "ill", (*Files).fdSetRights},
	{"fd_filestat_get", "ii", (*Files).fdFilestat},
	{"fd_filestat_set_size", "il", (*Files).fdSetSize},
	{"fd_filestat_set_times", "illi", (*Files).fdSetTimes},
	{"fd_pread", "iiili", (*Files).fdPread},
	{"fd_prestat_get", "ii", (*Files).fdPrestat},
	{"fd_prestat_dir_name", "iii", (*Files).fdPrestatName},
	{"fd_pwrite", "iiili", (*Files).fdPwrite},
	{"fd_read", "iiii", (*Files).fdRead},
	{"fd_readdir", "iiili", (*Files).fdReaddir},
	{"fd_renumber", "ii", (*Files).fdRenumber},
	{"fd_seek", "ilii", (*Files).fdSeek},
	{"fd_sync", "i", (*Files).fdNothing},
	{"fd_tell", "ii", (*Files).fdTell},
	{"fd_write", "iiii", (*Files).fdWrite},
	{"path_create_directory", "iii", (*Files).pathMkdir},
	{"path_filestat_get", "iiiii", (*Files).pathFilestat},
	{"path_filestat_set_times", "iiiilli", (*Files).pathSetTimes},
	{"path_link", "iiiiiii", (*Files).pathLink},
	{"path_open", "iiiiillii", (*Files).pathOpen},
	{"path_readlink", "iiiiii", (*Files).pathReadlink},
	{"path_remove_directory", "iii", (*Files).pathRmdir},
	{"path_rename", "iiiiii", (*Files).pathRename},
	{"path_symlink", "iiiii", (*Files).pathSymlink},
	{"path_unlink_file", "iii", (*Files).pathUnlink},
	{"poll_oneoff", "iiii", (*Files).poll},
}

// extensions are calls that programs on Linux have and WASI lacks.
var extensions = []call{
	{"path_open", "iiiiilliii", (*Files).pathOpenMode},
	{"path_create_directory", "iiii", (*Files).pathMkdirMode},
	{"path_chmod", "iiiii", (*Files).pathChmod},
	{"path_space", "iiii", (*Files).pathSpace},
	{"fd_chmod", "ii", (*Files).fdChmod},
}

// Export adds the file calls to a builder of wasi_snapshot_preview1, replacing
// any that are there. of finds the Files in the context of a call.
func Export(b wazero.HostModuleBuilder, of func(context.Context) *Files) { export(b, of, calls) }

// ExportExtensions adds the calls that WASI lacks. path_open and
// path_create_directory are WASI's with one more argument, a mode: the last but
// one, and the last.
func ExportExtensions(b wazero.HostModuleBuilder, of func(context.Context) *Files) {
	export(b, of, extensions)
	export(b, of, socketCalls)
}

func export(b wazero.HostModuleBuilder, of func(context.Context) *Files, calls []call) {
	for _, c := range calls {
		params := make([]api.ValueType, len(c.params))
		for i, p := range c.params {
			params[i] = map[rune]api.ValueType{'i': api.ValueTypeI32, 'l': api.ValueTypeI64}[p]
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			f := of(ctx)
			f.Work(portion)
			stack[0] = uint64(c.do(f, m.Memory(), stack))
			f.Settle()
		}), params, []api.ValueType{api.ValueTypeI32}).Export(c.name)
	}
}
