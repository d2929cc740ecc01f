package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// DamageError means that a bucket lacks what it once had, or has records that
// can't be read. The rest can be used, but the absence of a record proves
// nothing.
type DamageError struct {
	Bucket string
	Reason string
	Marks  string // the file that tells; may be empty
}

func (e *DamageError) Error() string {
	cure := "restore the store from a backup"
	if e.Marks != "" {
		cure += ", or remove " + e.Marks + " to go on with what is left"
	}
	return fmt.Sprintf("store: %s are damaged: %s; %s", e.Bucket, e.Reason, cure)
}

// marks records, outside of the store itself, how far each bucket has come: a
// store that was wiped or has lost its end looks like one that never had it.
// Safe for concurrent use.
type marks struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex // guards all below; held while the file is written
	of    map[string]mark
	wrong error       // why the file can't be read
	timer *time.Timer // runs while something is unwritten
}

// mark is how far a bucket had come.
type mark struct {
	Revision uint64 `json:"revision"` // of the last change
	Keys     int    `json:"keys"`     // existing keys at that revision; -1 if unknown
	Sum      uint64 `json:"sum"`      // of their hashes, each with its revision
}

func markOf(revision uint64, keys map[string]uint64) mark {
	m := mark{Revision: revision, Keys: len(keys)}
	for key, r := range keys {
		h := fnv.New64a()
		_, _ = io.WriteString(h, key) // never fails
		_ = binary.Write(h, binary.BigEndian, r)
		m.Sum += h.Sum64()
	}
	return m
}

// markInterval is how long marks are collected before they are written, since
// each write waits for the disk. Marks that lag behind do no harm.
const markInterval = 100 * time.Millisecond

// openMarks reads the marks of an earlier process. Without a path there are
// none.
func openMarks(path string, log *slog.Logger) *marks {
	m := &marks{path: path, log: log, of: map[string]mark{}}
	if path == "" {
		return m
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m
	}
	if err == nil {
		err = json.Unmarshal(text, &m.of)
	}
	if err != nil || m.of == nil {
		m.of, m.wrong = map[string]mark{}, fmt.Errorf("%s can't be read: %v", path, err)
	}
	return m
}

// get returns the mark of a bucket.
func (m *marks) get(bucket string) (mark, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.of[bucket]
	return k, ok, m.wrong
}

// set records how far a bucket has come.
func (m *marks) set(bucket string, k mark) {
	if m.path == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wrong != nil || m.of[bucket] == k {
		return
	}
	m.of[bucket] = k
	if m.timer == nil {
		m.timer = time.AfterFunc(markInterval, m.flush)
	}
}

// flush writes what is unwritten.
func (m *marks) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		return
	}
	m.timer.Stop()
	m.timer = nil
	if err := m.write(); err != nil {
		m.log.Warn("store: write marks", "error", err)
	}
}

func (m *marks) write() error {
	text, err := json.Marshal(m.of)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	return replaceFile(m.path, text, (*os.File).Sync)
}

// replaceFile gives a file a new content at once: whoever reads it sees the old one or
// the new one. sync, if set, makes the content last before the file has it.
func replaceFile(path string, content []byte, sync func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // already renamed if all went well
	_, err = f.Write(content)
	if err == nil && sync != nil {
		err = sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
