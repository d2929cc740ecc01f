package run

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
	"sync"
	"unicode/utf8"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/wasm/vfs"
)

// Limits of a function's code (contract §6.7).
const (
	MaxCodeBytes   = 680 << 20 // unpacked
	MaxCodeEntries = 20_000
	maxArchive     = 128 << 20
	maxFileName    = 255 // bytes of a name in CodeFromFiles, folders included
	maxCodePath    = 512 // bytes of a path in an archive
	maxCodeDepth   = 64  // folders that a file may be in, one in the other
	// codeEntrySize is the memory that a file or folder takes besides its content,
	// in bytes.
	codeEntrySize = 1024
)

// CodeFromZip unpacks an archive. It must have no links, no absolute names, no
// names with "..", a backslash, or bytes that are not UTF-8, and no name twice.
func CodeFromZip(archive []byte) (*vfs.Tree, error) {
	r, _, err := readArchive(archive)
	if err != nil {
		return nil, err
	}
	return CodeFromFS(r)
}

// readArchive reads an archive's directory and checks what it says. It returns
// how many bytes of memory the code takes when it is unpacked, if the directory
// does not lie; if it does, unpacking fails.
func readArchive(archive []byte) (r *zip.Reader, size int64, err error) {
	if len(archive) > maxArchive {
		return nil, 0, fault.Invalidf("content", "the archive has %d bytes, at most %d are allowed", len(archive), maxArchive)
	}
	if n := countRecords(archive); n > MaxCodeEntries {
		return nil, 0, fault.Invalidf("content", "the archive has %d entries, more than %d", n, MaxCodeEntries)
	}
	if r, err = zip.NewReader(bytes.NewReader(archive), int64(len(archive))); err != nil {
		return nil, 0, fault.Invalidf("content", "is no zip archive: %v", err)
	}
	seen := make(map[string]bool, len(r.File))
	folders := map[string]bool{".": true} // those of entries, which need not be entries
	files, unpacked := 0, int64(0)
	entries := r.File[:0] // the reader takes "./" for a folder of that name
	for _, f := range r.File {
		name := nameOfEntry(f)
		folder := f.Mode().IsDir()
		if name == "." && folder {
			continue // the folder that was packed
		}
		entries = append(entries, f)
		switch depth := strings.Count(name, "/"); {
		case len(name) > maxCodePath:
			return nil, 0, fault.Invalidf("content", "the archive's entry %.80q… has a path of %d bytes, at most %d are allowed",
				name, len(name), maxCodePath)
		case depth > maxCodeDepth:
			return nil, 0, fault.Invalidf("content", "the archive's entry %.80q… is in %d folders, at most %d are allowed",
				name, depth, maxCodeDepth)
		case seen[name]:
			return nil, 0, fault.Invalidf("content", "the archive has two entries %.80q", f.Name)
		case f.UncompressedSize64 > uint64(MaxCodeBytes-unpacked):
			return nil, 0, fault.Invalidf("content", "the archive's code is larger than allowed: more than %d bytes when it is unpacked", MaxCodeBytes)
		}
		if err := checkEntryName(f.Name, name); err != nil {
			return nil, 0, err
		}
		seen[name] = true
		unpacked += int64(f.UncompressedSize64)
		size += codeEntrySize
		parent := path.Dir(name)
		if folder {
			parent = name
		}
		for ; !folders[parent]; parent = path.Dir(parent) {
			folders[parent] = true
			size += codeEntrySize
		}
		if !folder {
			files++
		}
		if files+len(folders) > MaxCodeEntries {
			return nil, 0, fault.Invalidf("content", "the archive has more than %d files and folders", MaxCodeEntries)
		}
	}
	r.File = entries
	return r, size + unpacked, nil
}

// nameOfEntry returns an entry's name without what says nothing: the slash at the
// end of a folder's, and the "./" that some programs write before each.
func nameOfEntry(f *zip.File) string {
	name := f.Name
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	if f.Mode().IsDir() {
		name = strings.TrimSuffix(name, "/")
	}
	if name == "" && f.Name != "" {
		return "."
	}
	return name
}

// checkEntryName says why an entry can't have its name, of which name is what
// counts.
func checkEntryName(full, name string) error {
	switch {
	case !utf8.ValidString(full):
		return fault.Invalidf("content", "the archive's entry %.80q has a name that is not UTF-8, as programs write it that use another "+
			"code page; pack it with one that writes UTF-8", full)
	case strings.Contains(full, `\`):
		return fault.Invalidf("content", "the archive's entry %.80q has a backslash in its name, as programs for Windows write it where "+
			"a slash belongs; pack it with one that writes slashes", full)
	case !fs.ValidPath(name) || name == ".":
		return fault.Invalidf("content", "the archive's entry %.80q must have a relative name without \"..\"", full)
	}
	return nil
}

// CodeFromFiles makes code of texts by their names, which are relative and have
// no "..".
func CodeFromFiles(files map[string]string) (*vfs.Tree, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, text := range files {
		if !fs.ValidPath(name) || name == "." || len(name) > maxFileName {
			return nil, fault.Invalidf("files", "the name %.80q must be a relative one without \"..\", such as main.py, of at most %d bytes",
				name, maxFileName)
		}
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			if _, ok := files[folder]; ok {
				return nil, fault.Invalidf("files", "%.80q is a file and also a folder, with %.80q in it", folder, name)
			}
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			return nil, fault.Invalidf("files", "%.80q: %v", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fault.Invalidf("files", "%v", err)
	}
	return CodeFromZip(archive.Bytes())
}

// countRecords returns how many records the archive's directory may have. The
// reader of archives makes an object of each before anybody can count them, and
// the number that the archive itself tells can be a lie.
func countRecords(archive []byte) int {
	const (
		endSize   = 22
		zip64     = math.MaxUint32
		endMark   = "PK\x05\x06"
		entryMark = "PK\x01\x02"
	)
	if len(archive) < endSize {
		return 0
	}
	end := bytes.LastIndex(archive[:len(archive)-endSize+len(endMark)], []byte(endMark))
	if end < 0 {
		return 0
	}
	records := binary.LittleEndian.Uint16(archive[end+10:])
	size := int64(binary.LittleEndian.Uint32(archive[end+12:]))
	start := int64(binary.LittleEndian.Uint32(archive[end+16:]))
	if records == math.MaxUint16 || size == math.MaxUint16 || size == zip64 || start == zip64 {
		start = 0 // told elsewhere; all of the archive counts
	}
	// The archive may have something before it: then start counts from there.
	start = max(min(start, int64(end)-size), 0)
	return bytes.Count(archive[start:], []byte(entryMark))
}

// codeCell holds a version's code, which is read from the store when it is first
// needed.
type codeCell struct {
	mu   sync.Mutex // guards the members, and is held while tree is loaded
	tree *vfs.Tree
	give func() // gives back the memory that was reserved for tree; nil when none was
}

// get returns the code, from load the first time. Load reserves its memory.
func (c *codeCell) get(load func() (tree *vfs.Tree, give func(), err error)) (*vfs.Tree, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tree == nil {
		tree, give, err := load()
		if err != nil {
			return nil, err
		}
		c.tree, c.give = tree, give
	}
	return c.tree, nil
}

// drop forgets code that can be loaded again, and reports whether there was any. Code
// that is just being loaded stays.
func (c *codeCell) drop() bool {
	// Loading takes memory, for which this very code may be asked to go: waiting for it
	// would never end.
	if !c.mu.TryLock() {
		return false
	}
	defer c.mu.Unlock()
	if c.give == nil { // there is none, or it is a try's, which nothing could load again
		return false
	}
	c.give()
	c.tree, c.give = nil, nil
	return true
}

// maxUnpacking is how many archives are unpacked at once, since that takes
// processors and memory besides what comes out.
const maxUnpacking = 2

// Unpack makes code of a version's archive, for which it takes memory until give
// is called.
//
// # Errors
//
// Those of CodeFromZip and of quota.Ledger.Reserve; ctx's.
func (r *Runner) Unpack(ctx context.Context, tenant string, archive []byte) (tree *vfs.Tree, give func(), err error) {
	return r.maker.unpack(ctx, tenant, archive)
}

// unpack is Runner.Unpack.
func (m *maker) unpack(ctx context.Context, tenant string, archive []byte) (tree *vfs.Tree, give func(), err error) {
	select {
	case m.unpacking <- struct{}{}:
		defer func() { <-m.unpacking }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	z, size, err := readArchive(archive)
	if err != nil {
		return nil, nil, err
	}
	// The directory tells the size, and the reader ends at it, so nothing is unpacked that
	// is not counted.
	if give, err = m.room.ledger.Reserve(tenant, quota.CodeTree, size); err != nil {
		return nil, nil, err
	}
	if tree, err = CodeFromFS(z); err != nil {
		give()
		return nil, nil, err
	}
	return tree, give, nil
}

// CodeFromFS makes code of a file system.
func CodeFromFS(fsys fs.FS) (*vfs.Tree, error) {
	tree, err := vfs.NewTree(fsys, vfs.TreeConfig{MaxBytes: MaxCodeBytes, MaxEntries: MaxCodeEntries, Eager: true})
	if err != nil {
		return nil, fault.Invalidf("code", "%v", err)
	}
	return tree, nil
}

// code returns a version's files; nil when it has none.
func (m *maker) code(ctx context.Context, v *live) (*vfs.Tree, error) {
	return v.code.get(func() (*vfs.Tree, func(), error) {
		// The archive is in memory besides what comes out of it.
		release, err := m.room.ledger.Reserve(v.Tenant, quota.Body, v.ArchiveSize)
		if err != nil {
			return nil, nil, err
		}
		defer release()
		archive, err := m.archive(ctx, v.Version)
		if err != nil || archive == nil {
			return nil, nil, err
		}
		return m.unpack(ctx, v.Tenant, archive)
	})
}
