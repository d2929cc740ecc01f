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
func (r *Runner) storeImage(v *live, bytes int64, unnamed bool) error {
	r.unstoreImage(v)
	if err := r.ledger.Take(v.Tenant, quota.ImageFile, bytes); err != nil {
		return err
	}
	v.pool.image.store(bytes, unnamed)
	return nil
}

// unstoreImage gives that room back.
func (r *Runner) unstoreImage(v *live) {
	r.ledger.Give(v.Tenant, quota.ImageFile, v.pool.image.store(0, false))
}

// removeImage deletes the file of a version that is no more.
func (r *Runner) removeImage(v *live) {
	if path := r.imagePath(v); path != "" {
		_ = os.Remove(path) // most often there is none
	}
	r.unstoreImage(v)
}

// CountImages charges for the images that earlier runs have left, and removes
// what is too much.
func (r *Runner) CountImages() {
	if r.cfg.ImageDir == "" {
		return
	}
	type file struct {
		v    *live
		info os.FileInfo
	}
	var files []file
	for _, v := range r.all() {
		if info, err := os.Stat(r.imagePath(v)); err == nil { // else it has none yet
			files = append(files, file{v, info})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, f := range files {
		if r.storeImage(f.v, f.info.Size(), false) != nil {
			_ = os.Remove(r.imagePath(f.v)) // it is made anew when it is needed
			continue
		}
		r.images.put(f.v.Tenant, f.v)
	}
}

// imagePath returns where a version's image is kept, or nothing when it is not.
func (r *Runner) imagePath(v *live) string {
	if r.cfg.ImageDir == "" {
		return ""
	}
	return filepath.Join(r.cfg.ImageDir, v.ID+".image")
}

// CollectImages removes files of versions that are no more, or are not yet: a
// process that shares the directory may be about to list one. What it has open
// stays with it.
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
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".image")
		if ok && strings.HasPrefix(id, catalog.VersionPrefix) && !listed[id] {
			if err := os.Remove(filepath.Join(r.cfg.ImageDir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
