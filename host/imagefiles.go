package host

import (
	"os"
	"path/filepath"
	"time"

	"vivarium/host/quota"
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
func (h *Host) storeImage(v *Version, bytes int64, unnamed bool) error {
	h.unstoreImage(v)
	if err := h.ledger.Take(v.Tenant, quota.ImageFile, bytes); err != nil {
		return err
	}
	v.pool.image.store(bytes, unnamed)
	return nil
}

// unstoreImage gives that room back.
func (h *Host) unstoreImage(v *Version) {
	h.ledger.Give(v.Tenant, quota.ImageFile, v.pool.image.store(0, false))
}

// removeImage deletes the file of a version that is no more.
func (h *Host) removeImage(v *Version) {
	if path := h.imagePath(v); path != "" {
		_ = os.Remove(path) // most often there is none
	}
	h.unstoreImage(v)
}

// evictImage removes the image that was needed longest ago and that nobody uses:
// of a tenant, or of the one that has most. It says if there was one.
func (h *Host) evictImage(tenant string, own bool) bool {
	used := h.ledger.Users(QuotaImageBytes)
	for {
		var victim *pool
		var oldest time.Time
		for _, p := range h.pools() {
			at, ok := p.image.spare()
			if !ok || own && p.v.Tenant != tenant {
				continue
			}
			more := int64(0)
			if victim != nil && !own {
				more = used[p.v.Tenant] - used[victim.v.Tenant]
			}
			if victim == nil || more > 0 || more == 0 && at.Before(oldest) {
				victim, oldest = p, at
			}
		}
		if victim == nil {
			return own && h.evictOwn(tenant) // an image is in use as long as it has instances
		}
		freed := victim.image.drop(func() {
			if path := h.imagePath(victim.v); path != "" {
				_ = os.Remove(path) // an unnamed one has none
			}
		})
		if freed > 0 {
			h.ledger.Give(victim.v.Tenant, quota.ImageFile, freed)
			return true
		}
	}
}

// countImages charges for the images that earlier runs have left, and removes
// what is too much.
func (h *Host) countImages() {
	if h.cfg.ImageDir == "" {
		return
	}
	for _, p := range h.pools() {
		path := h.imagePath(p.v)
		info, err := os.Stat(path)
		if err != nil {
			continue // it has none yet
		}
		p.image.mu.Lock()
		p.image.used = info.ModTime()
		p.image.mu.Unlock()
		if h.storeImage(p.v, info.Size(), false) != nil {
			_ = os.Remove(path) // it is made anew when it is needed
		}
	}
}

// imagePath returns where a version's image is kept, or nothing when it is not.
func (h *Host) imagePath(v *Version) string {
	if h.cfg.ImageDir == "" {
		return ""
	}
	return filepath.Join(h.cfg.ImageDir, v.ID+".image")
}
