package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	pythonwasi "vivarium/python-wasi"
)

// versionCommand implements `vivarium version`.
type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

// Run implements the command.
func (c *versionCommand) Run(s *session) error {
	guest, err := pythonwasi.Lean.Info()
	if c.JSON {
		if err != nil {
			return err
		}
		return printJSON(s.stdout, map[string]string{
			"version": programVersion(), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH,
			"cpython": guest.CPython, "guest": guest.Key,
		})
	}
	fmt.Fprintf(s.stdout, "vivarium %s (%s %s/%s)\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "CPython %s, guest %s\n", guest.CPython, guest.Key)
	return nil
}

// release is the version of a release, which the linker fills in; see web/tools/release.
var release string

// programVersion returns the version of the release, or else the one that the Go tool stamped
// into the binary.
func programVersion() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}
