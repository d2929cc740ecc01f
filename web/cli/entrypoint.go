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

// handlerFiles are the files that may hold the handler if the user names none,
// in order of preference: the names that the cloud's examples use.
var handlerFiles = [...]string{"main.py", "index.py"}

// checkEntrypoint tells how to write an entry point that is invalid.
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
	return fmt.Errorf("--entrypoint %s: write FILE.FUNCTION, folders separated by dots, as in %s", e, better)
}

var notInEntrypoints = regexp.MustCompile(`[./\\: ]+`)

// defaultEntrypoint returns the entry point if the user names none, and a note
// if that may not be what was meant.
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
		note = fmt.Sprintf("both %s.py and %s.py have a handler; %[1]s.handler is called; for the other add --entrypoint %[2]s.handler", with[0], with[1])
	}
	return append(with, there...)[0] + ".handler", note, nil
}

// maxHandlerFile is how much of a file is searched for a handler.
const maxHandlerFile = 1 << 20

// handlerName matches in a file that has or imports a handler.
var handlerName = regexp.MustCompile(`\bhandler\b`)
