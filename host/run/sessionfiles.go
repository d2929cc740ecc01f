package run

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/wasm/vfs"
)

const (
	// SessionFolder is the folder for a session's own files, to which relative paths
	// refer.
	SessionFolder = "/tmp"
	// MaxSnippetFiles bounds the files that go in or out with a snippet, and
	// MaxSnippetFileBytes what they have in all.
	MaxSnippetFiles     = 100
	MaxSnippetFileBytes = 4 << 20
	// MaxSessionFile bounds a file that goes in or out by itself, in bytes.
	MaxSessionFile = sessionTmpBytes
)

// SnippetFile is a file that a snippet answers with.
type SnippetFile struct {
	Path    string
	Content []byte
	Problem string // why there is no content
}

// WriteFile writes a file of a session, and the folders that it is in. A relative path is
// one below SessionFolder.
//
// # Errors
//
// *fault.InvalidError, *fault.NotFoundError, *fault.ConflictError.
func (s *Sessions) WriteFile(ctx context.Context, tenant, id, name string, content []byte) error {
	n, err := s.find(tenant, id)
	if err != nil {
		return err
	}
	if err := s.enter(ctx, n); err != nil {
		return err
	}
	defer s.leave(n)
	n.thaw()
	return n.writeFile(name, content)
}

// ReadFile returns the content of a file of a session. The memory for it is the tenant's
// until give is called.
//
// # Errors
//
// As for WriteFile; *quota.Error.
func (s *Sessions) ReadFile(ctx context.Context, tenant, id, name string) (content []byte, give func(), err error) {
	n, err := s.find(tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if err := s.enter(ctx, n); err != nil {
		return nil, nil, err
	}
	defer s.leave(n)
	f, size, err := n.open(name, MaxSessionFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if give, err = s.r.room.ledger.Reserve(tenant, quota.Body, size); err != nil {
		return nil, nil, err
	}
	return readAll(f, size), give, nil
}

// clean returns the path of a file of a session.
func clean(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) || len(name) > vfs.MaxPath {
		return "", fault.Invalidf("path", "%.80q must be the path of a file, such as data.csv, which is in %s", name, SessionFolder)
	}
	if !path.IsAbs(name) {
		name = SessionFolder + "/" + name
	}
	return path.Clean(name), nil
}

// writeFiles writes files that come with a snippet.
func (n *session) writeFiles(files map[string][]byte) error {
	total := 0
	for _, content := range files {
		total += len(content)
	}
	switch {
	case len(files) > MaxSnippetFiles:
		return fault.Invalidf("files", "there are %d, at most %d are allowed", len(files), MaxSnippetFiles)
	case total > MaxSnippetFileBytes:
		return fault.Invalidf("files", "they have %d bytes in all, at most %d are allowed; upload larger ones by themselves", total, MaxSnippetFileBytes)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := n.writeFile(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file. The caller has the session's place.
func (n *session) writeFile(name string, content []byte) error {
	full, err := clean(name)
	if err != nil {
		return err
	}
	root := n.guest.Root()
	for at := 1; ; at++ {
		next := strings.IndexByte(full[at:], '/')
		if next < 0 {
			break
		}
		at += next
		if errno := root.Mkdir(full[:at], 0o777); errno != 0 && errno != vfs.EEXIST && errno != vfs.EROFS {
			return fileError(name, errno)
		}
	}
	f, errno := root.Open(full, vfs.WriteOnly|vfs.Create|vfs.Truncate|vfs.NonBlock, 0o644)
	if errno != 0 {
		return fileError(name, errno)
	}
	defer f.Close()
	for len(content) > 0 {
		written, errno := f.Write(content)
		if errno != 0 || written == 0 {
			return fileError(name, errno)
		}
		content = content[written:]
	}
	return nil
}

// open opens a regular file of at most so many bytes, and returns how many it has.
func (n *session) open(name string, most int64) (f vfs.File, size int64, err error) {
	full, err := clean(name)
	if err != nil {
		return nil, 0, err
	}
	root := n.guest.Root()
	stat, errno := root.Stat(full, true)
	switch {
	case errno != 0:
		return nil, 0, fileError(name, errno)
	case !stat.Mode.IsRegular():
		return nil, 0, fault.Invalidf("path", "%.80q is no file", name)
	case stat.Size > most:
		return nil, 0, fault.Invalidf("path", "%.80q has %d bytes, at most %d are allowed", name, stat.Size, most)
	}
	if f, errno = root.Open(full, vfs.ReadOnly, 0); errno != 0 {
		return nil, 0, fileError(name, errno)
	}
	return f, stat.Size, nil
}

// readAll reads a file that does not change meanwhile.
func readAll(f vfs.File, size int64) []byte {
	content := make([]byte, size)
	at := 0
	for at < len(content) {
		n, errno := f.Read(content[at:])
		if errno != 0 || n == 0 {
			break
		}
		at += n
	}
	return content[:at]
}

// readOutputs returns the files that a snippet is to answer with; reserve takes the
// memory for each. The caller has the session's place.
func (n *session) readOutputs(names []string, reserve func(size int64) error) []SnippetFile {
	files := make([]SnippetFile, 0, len(names))
	left := int64(MaxSnippetFileBytes)
	for _, name := range names {
		file := SnippetFile{Path: name}
		if f, size, err := n.open(name, left); err != nil {
			file.Problem = err.Error()
		} else {
			if err := reserve(size); err != nil {
				file.Problem = err.Error()
			} else {
				file.Content = readAll(f, size)
				left -= size
			}
			f.Close()
		}
		files = append(files, file)
	}
	return files
}

// fileError says what is wrong with a file.
func fileError(name string, errno vfs.Errno) error {
	why := map[vfs.Errno]string{
		vfs.ENOENT: "there is no such file", vfs.EISDIR: "is a folder", vfs.ENOTDIR: "one of its folders is a file",
		vfs.EROFS: "can't be written: write below " + SessionFolder, vfs.ELOOP: "has too many links", vfs.ENAMETOOLONG: "has too long a name",
		vfs.EMFILE: "the session has too many open files; close some",
		vfs.ENOSPC: fmt.Sprintf("there is no room: %s holds %d MiB and %d names, and what is in it counts as the tenant's memory",
			SessionFolder, sessionTmpBytes>>20, tmpEntries),
		0: "can't be written",
	}[errno]
	if why == "" {
		why = errno.String()
	}
	return fault.Invalidf("path", "%.80q: %s", name, why)
}
