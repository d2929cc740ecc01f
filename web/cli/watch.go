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
}

// watch starts to watch. The callback runs on a goroutine of the watcher's own,
// never twice at once. The caller closes the watcher.
func watch(s *source, changed func()) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.path, err)
	}
	w := &watcher{notify: notify, source: s, changed: changed}
	if s.kind == folder {
		err = w.add(s.path)
	} else {
		err = notify.Add(s.dir())
	}
	if err != nil {
		_ = notify.Close()
		return nil, fmt.Errorf("watch %s: %w", s.path, err)
	}
	w.done.Go(w.run)
	return w, nil
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
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
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
	return w.source.kind == folder || filepath.Base(e.Name) == filepath.Base(w.source.path)
}

// close ends the watching and waits for a callback in progress.
func (w *watcher) close() {
	_ = w.notify.Close()
	w.done.Wait()
}
