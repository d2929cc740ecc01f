package cli

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"vivarium/web/folder"
)

// handlerFiles may hold the handler when the user names no other file: what most
// examples of the cloud call it, the usual one first.
var handlerFiles = [...]string{"main.py", "index.py"}

// checkEntrypoint says how to write an entry point that can be none.
func (s *source) checkEntrypoint() error {
	e := s.entrypoint
	if e == "" || strings.Contains(e, ".") && !strings.ContainsAny(e, `/\: `) && !strings.Contains("."+e+".", "..") {
		return nil
	}
	better := strings.Trim(notInEntrypoints.ReplaceAllString(strings.NewReplacer(".py/", ".", ".py:", ".", ".py.", ".").Replace(e), "."), ".")
	if better != "" && !strings.Contains(better, ".") {
		file := "main"
		if s.kind == singleFile {
			file = strings.TrimSuffix(filepath.Base(s.path), ".py")
		}
		better = file + "." + better
	}
	if better == "" {
		better = "main.handler"
	}
	return fmt.Errorf("--entrypoint %s: write FILE.FUNCTION, folders parted by dots, as in %s", e, better)
}

var notInEntrypoints = regexp.MustCompile(`[./\\: ]+`)

// defaultEntrypoint returns what is called when the user names nothing, and a
// note when that may not be what was meant.
func (s *source) defaultEntrypoint(packed []byte) (entrypoint, note string, err error) {
	if s.kind == singleFile {
		return strings.TrimSuffix(filepath.Base(s.path), ".py") + ".handler", "", nil
	}
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return "", "", fmt.Errorf("code: %s: %w", s.path, err)
	}
	var there, with []string
	for _, name := range handlerFiles {
		if _, err := fs.Stat(r, name); err != nil {
			continue
		}
		there = append(there, strings.TrimSuffix(name, ".py"))
		if text, err := folder.ReadFile(r, name, maxHandlerFile); err != nil || handlerName.Match(text) {
			with = append(with, strings.TrimSuffix(name, ".py"))
		}
	}
	if len(there) == 0 {
		return "", "", fmt.Errorf("code: %s: has neither %s nor %s; name the handler with --entrypoint FILE.FUNCTION",
			s.path, handlerFiles[0], handlerFiles[1])
	}
	if len(with) > 1 {
		note = fmt.Sprintf("%s.py has a handler, %s.py too; %[1]s.handler is called, for the other add --entrypoint %[2]s.handler", with[0], with[1])
	}
	return append(with, there...)[0] + ".handler", note, nil
}

// maxHandlerFile is how much of a file is searched for a handler's name.
const maxHandlerFile = 1 << 20

// handlerName is what a file that has or imports a handler has in it.
var handlerName = regexp.MustCompile(`\bhandler\b`)
