package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookEvery is how often to check whether a source's folder is still the same.
const lookEvery = 500 * time.Millisecond

// debounce is how long files must stay unchanged before a change counts: editors
// and version control write several in a row.
const debounce = 50 * time.Millisecond

// watcher calls back when a source changes. It watches only folders, because
// most editors replace files rather than write them.
type watcher struct {
	notify  *fsnotify.Watcher
	source  *source
	changed func()
	done    sync.WaitGroup
	folder  fs.FileInfo // the watched folder; nil if it is gone
}

// watch starts to watch. The callback runs on the watcher's own goroutine,
// never concurrently. The caller closes the watcher.
func watch(s *source, changed func()) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.path, err)
	}
	w := &watcher{notify: notify, source: s, changed: changed}
	if err := w.start(); err != nil {
		_ = notify.Close()
		return nil, fmt.Errorf("watch %s: %w", s.path, err)
	}
	w.done.Go(w.run)
	return w, nil
}

// start watches the source's folder, and subfolders that are part of the code.
func (w *watcher) start() (err error) {
	dir := w.source.dir()
	if w.folder, err = os.Stat(dir); err != nil {
		return err
	}
	if w.source.kind == wholeFolder {
		return w.add(dir)
	}
	return w.notify.Add(dir)
}

// look reports whether the folder has been replaced. The system only reports
// that one is gone, not that another takes its place.
func (w *watcher) look() (other bool) {
	now, err := os.Stat(w.source.dir())
	switch {
	case err != nil:
		w.folder = nil
		return false
	case w.folder != nil && os.SameFile(now, w.folder):
		return false
	}
	for _, path := range w.notify.WatchList() {
		_ = w.notify.Remove(path) // of a folder that may be gone
	}
	return w.start() == nil
}

// add watches the folder at path and its subfolders.
func (w *watcher) add(path string) error {
	root := os.DirFS(path)
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // gone already, or unreadable for us: packing will report it
		case !d.IsDir():
			return nil
		case name != "." && skipped(root, name): // watching what other rules ignore costs little
			return fs.SkipDir
		}
		return w.notify.Add(filepath.Join(path, filepath.FromSlash(name)))
	})
}

func (w *watcher) run() {
	timer := time.NewTimer(debounce)
	timer.Stop()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if w.look() {
				timer.Reset(debounce)
			}
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if filepath.Clean(e.Name) == filepath.Clean(w.source.dir()) && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
				w.folder = nil // even if it comes back, it is no longer watched
			}
			if !w.concerns(e) {
				continue
			}
			if info, err := os.Lstat(e.Name); e.Has(fsnotify.Create) && err == nil && info.IsDir() {
				_ = w.add(e.Name) // a folder that can't be watched is still packed
			}
			timer.Reset(debounce)
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			timer.Reset(debounce) // events were lost: check what is there
		case <-timer.C:
			w.changed()
		}
	}
}

// concerns reports whether an event may mean a change of code.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	return w.source.kind == wholeFolder || filepath.Base(e.Name) == filepath.Base(w.source.path)
}

// close stops watching and waits for a callback in progress.
func (w *watcher) close() {
	_ = w.notify.Close()
	w.done.Wait()
}
