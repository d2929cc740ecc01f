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

// lookEvery is how often it is looked if a source's folder is still the same.
const lookEvery = 500 * time.Millisecond

// settle is how long files must be left alone before a change counts: editors
// and version control write several in a row.
const settle = 50 * time.Millisecond

// watcher calls back when a source changes. Only folders are watched, because
// most editors replace files rather than write them.
type watcher struct {
	notify  *fsnotify.Watcher
	source  *source
	changed func()
	done    sync.WaitGroup
	folder  fs.FileInfo // the one that is watched; nil when it is gone
}

// watch starts to watch. The callback runs on a goroutine of the watcher's own,
// never twice at once. The caller closes the watcher.
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

// start watches the source's folder, and those below it if they are part of the
// code.
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

// look says if the folder is another one than before. The system only tells of
// one that is gone, not of one that takes its place.
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

// add watches the folder at path and those below it.
func (w *watcher) add(path string) error {
	root := os.DirFS(path)
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // gone already, or not ours to read: packing will tell
		case !d.IsDir():
			return nil
		case name != "." && skipped(root, name): // what rules leave out costs a look only
			return fs.SkipDir
		}
		return w.notify.Add(filepath.Join(path, filepath.FromSlash(name)))
	})
}

func (w *watcher) run() {
	timer := time.NewTimer(settle)
	timer.Stop()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if w.look() {
				timer.Reset(settle)
			}
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if filepath.Clean(e.Name) == filepath.Clean(w.source.dir()) && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
				w.folder = nil // even one that comes back is no longer watched
			}
			if !w.concerns(e) {
				continue
			}
			if info, err := os.Lstat(e.Name); e.Has(fsnotify.Create) && err == nil && info.IsDir() {
				_ = w.add(e.Name) // a folder that can't be watched is still packed
			}
			timer.Reset(settle)
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			timer.Reset(settle) // events were lost: look what there is
		case <-timer.C:
			w.changed()
		}
	}
}

// concerns says if an event may mean other code.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	return w.source.kind == wholeFolder || filepath.Base(e.Name) == filepath.Base(w.source.path)
}

// close ends the watching and waits for a callback in progress.
func (w *watcher) close() {
	_ = w.notify.Close()
	w.done.Wait()
}
