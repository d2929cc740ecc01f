package cli

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

// headerRevision is by which several servers of one store, behind one address, let those who
// have changed something see that; see package web.
const headerRevision = "Vivarium-Revision"

// revision is what a server has answered that it knows. It is kept for the next command, which
// another server may answer. Safe for concurrent use.
type revision struct {
	path string // of the file that keeps it; empty keeps nothing

	mu    sync.Mutex // guards the members below
	read  bool
	known string
}

// revisionFile returns where what a server knows is kept.
func revisionFile(server string) string {
	return filepath.Join((&session{}).cacheFolder(), "revisions", fmt.Sprintf("%x", sha256.Sum256([]byte(server)))[:16])
}

// maxRevision bounds what a server may have kept, in bytes.
const maxRevision = 256

// send tells a server what another one knew.
func (r *revision) send(request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read {
		r.read = true
		// Without the file, or with a damaged one, a command may see less than it could.
		if text, err := os.ReadFile(r.path); err == nil && len(text) <= maxRevision {
			r.known = string(text)
		}
	}
	if r.known != "" {
		request.Header.Set(headerRevision, r.known)
	}
}

// note keeps what a server knows.
func (r *revision) note(response *http.Response) {
	told := response.Header.Get(headerRevision)
	r.mu.Lock()
	defer r.mu.Unlock()
	if told == "" || told == r.known || len(told) > maxRevision {
		return
	}
	r.known = told
	if os.MkdirAll(filepath.Dir(r.path), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), "new-*")
	if err != nil {
		return
	}
	_, err = f.WriteString(told)
	if e := f.Close(); err != nil || e != nil || os.Rename(f.Name(), r.path) != nil {
		_ = os.Remove(f.Name())
	}
}
