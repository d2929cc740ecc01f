package cli

import (
	"archive/zip"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"vivarium/web/folder"
)

// compiled matches the names of libraries and of modules that are compiled for some
// processor: module.cpython-313-x86_64-linux-gnu.so, libfoo.so.1, module.pyd.
var compiled = regexp.MustCompile(`(?i)\.(so(\.[0-9]+)*|pyd|dylib|dll)$`)

// nativeNote tells which files of an archive are of no use in a sandbox, where only
// WebAssembly runs; empty if none are. `pip install --target` leaves such files beside
// the code, and the import that misses them doesn't say so.
func nativeNote(archive []byte) string {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "" // who unpacks it will say why
	}
	var files, packages []string
	for _, f := range r.File {
		if !compiled.MatchString(f.Name) {
			continue
		}
		files = append(files, folder.Shown(f.Name))
		// yarl/_quoting.cpython-313-x86_64-linux-gnu.so, or _cffi_backend.so beside the code.
		top, _, _ := strings.Cut(f.Name, "/")
		if top, _, _ = strings.Cut(top, "."); top != "" && !slices.Contains(packages, folder.Shown(top)) {
			packages = append(packages, folder.Shown(top))
		}
	}
	if len(files) == 0 {
		return ""
	}
	return fmt.Sprintf("compiled for another platform, and of no use in the sandbox: %s; if an import fails, remove %s here and name"+
		" in requirements.txt the packages that they belong to: what the runtime has built in is taken then",
		someOf(files), someOf(packages))
}

// maxNamed is how many names a note has.
const maxNamed = 5

// someOf lists names, or says how many there are that it leaves out.
func someOf(names []string) string {
	more := ""
	if n := len(names) - maxNamed; n > 0 {
		names, more = names[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ") + more
}
