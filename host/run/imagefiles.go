package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vivarium/host/catalog"
	"vivarium/host/quota"
	"vivarium/wasm"
)

// Images are derived: a version whose image is not there gets another. So who
// has used up what it may have of the disk loses the images that were needed
// longest ago, and nothing fails for it, unless all are in use.

// storeImage takes the room on the disk that a version's image needs, instead of
// what it has had.
//
// # Errors
//
// Those of Reserve.
func (m *maker) storeImage(v *live, bytes int64, unnamed bool) error {
	m.unstoreImage(v)
	if err := m.room.ledger.Take(v.Tenant, quota.ImageFile, bytes); err != nil {
		return err
	}
	v.pool.image.store(bytes, unnamed)
	return nil
}

// unstoreImage gives that room back.
func (m *maker) unstoreImage(v *live) {
	m.room.ledger.Give(v.Tenant, quota.ImageFile, v.pool.image.store(0, false))
}

// leftImage is an image that an earlier run has left.
type leftImage struct {
	v    *live
	info os.FileInfo
}

// countImages charges for the images that earlier runs have left, and removes
// what is too much.
func countImages(r *Runner, files []leftImage) {
	slices.SortFunc(files, func(a, b leftImage) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, f := range files {
		if r.maker.storeImage(f.v, f.info.Size(), false) != nil {
			f.v.pool.image.remove() // it is made again when it is needed
			continue
		}
		r.room.images.put(f.v.Tenant, f.v)
	}
}

// CollectImages removes files of versions that are no more, or are not yet: a
// process that shares the directory may be about to list one. What it has open
// stays with it. Those that stay are charged for.
func (r *Runner) CollectImages(listed map[string]bool) error {
	if r.cfg.ImageDir == "" {
		return nil
	}
	if err := wasm.CleanImages(r.cfg.ImageDir); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.cfg.ImageDir)
	if err != nil {
		return err
	}
	var left []leftImage // there are far fewer than versions
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".image")
		if !ok || !strings.HasPrefix(id, catalog.VersionPrefix) {
			continue
		}
		if v := r.version(id); v != nil {
			if info, err := e.Info(); err == nil { // else it has just been replaced
				left = append(left, leftImage{v, info})
			}
		} else if !listed[id] {
			if err := os.Remove(filepath.Join(r.cfg.ImageDir, e.Name())); err != nil {
				return err
			}
		}
	}
	countImages(r, left)
	return nil
}
