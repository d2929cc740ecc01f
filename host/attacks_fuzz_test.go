package host

import (
	"errors"
	"path/filepath"
	"testing"

	"vivarium/host/fault"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

// FuzzCodeFromZip reads any bytes as an archive. What is taken must be within
// the limits, and nothing but files and folders.
func FuzzCodeFromZip(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(attackRoot, archiveSuite, "*.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := readAttack(file)
		if err != nil {
			f.Fatal(err)
		}
		if archive, err := a.build(); err == nil && len(archive) < 64<<10 {
			f.Add(archive)
		}
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		code, err := run.CodeFromZip(archive)
		if err != nil {
			if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
				t.Errorf("got %v, which does not say that the caller is wrong", err)
			}
			return
		}
		if code.Size() > run.MaxCodeBytes || code.Entries() > run.MaxCodeEntries+1 {
			t.Errorf("took %d bytes in %d entries", code.Size(), code.Entries())
		}
		if _, err := vfs.NewRoot(vfs.Config{Mounts: []vfs.Mount{{Path: "function/code", Tree: code}}}); err != nil {
			t.Error(err)
		}
	})
}
