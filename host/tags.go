package host

import (
	"context"
	"regexp"
	"slices"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Limits of tags (contract §6.3).
const (
	maxTags       = 10 // of one version, LatestTag not counted
	maxTagLength  = 63
	maxTagHistory = 1000 // entries of one function
)

var tagName = regexp.MustCompile(`^[a-z][-_0-9a-z]*$`)

// TagEvent is one entry of a function's tag history.
type TagEvent struct {
	Tag string `json:"tag"`
	// VersionID is the version that the tag was set on, or taken from.
	VersionID string    `json:"version_id"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to,omitzero"` // zero while the version carries it
}

func validateTag(tag string) error {
	switch {
	case tag == catalog.LatestTag:
		return fault.Conflictf("tag", tag, "is set by the service on the newest version; choose another")
	case !tagName.MatchString(tag) || len(tag) > maxTagLength:
		return fault.Invalidf("tag", "%.80q must be a lower-case letter, then lower-case letters, digits, hyphens and "+
			"underscores, at most %d characters", tag, maxTagLength)
	}
	return nil
}

func validateTags(tags []string) error {
	if len(tags) > maxTags {
		return fault.Invalidf("tag", "there are %d, at most %d are allowed", len(tags), maxTags)
	}
	for _, tag := range tags {
		if err := validateTag(tag); err != nil {
			return err
		}
	}
	return nil
}

// checkTags says if some version has too many tags.
func (r *functionRecord) checkTags() error {
	count := map[string]int{}
	for tag, id := range r.Tags {
		if tag == catalog.LatestTag {
			continue
		}
		if count[id]++; count[id] > maxTags {
			return fault.Invalidf("tag", "version %s would have more than %d tags; remove one first", id, maxTags)
		}
	}
	return nil
}

// move puts a tag on a version, wherever it was before.
func (r *functionRecord) move(tag, versionID string, now time.Time) {
	if r.Tags[tag] == versionID {
		return
	}
	r.drop(tag, now)
	r.Tags[tag] = versionID
	r.History = append(r.History, TagEvent{Tag: tag, VersionID: versionID, From: now})
	if n := len(r.History); n > maxTagHistory {
		r.History = r.History[n-maxTagHistory:]
	}
}

// drop takes a tag away.
func (r *functionRecord) drop(tag string, now time.Time) {
	delete(r.Tags, tag)
	for i := range r.History {
		if e := &r.History[i]; e.Tag == tag && e.To.IsZero() {
			e.To = now
		}
	}
}

// SetTag puts a tag on a version; it leaves the one that had it. A tag that
// moves is on either the old version or the new one at any moment.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError for LatestTag and for functions
// that are being deleted, ErrUnavailable.
func (h *Host) SetTag(ctx context.Context, versionID, tag string) (VersionInfo, error) {
	return h.changeTags(ctx, versionID, tag, func(r *functionRecord) error {
		r.move(tag, versionID, time.Now().UTC())
		return r.checkTags()
	})
}

// RemoveTag takes a tag from a version. A version without tags is obsolete.
//
// # Errors
//
// As SetTag; *NotFoundError also when the version does not carry the tag.
func (h *Host) RemoveTag(ctx context.Context, versionID, tag string) (VersionInfo, error) {
	return h.changeTags(ctx, versionID, tag, func(r *functionRecord) error {
		if r.Tags[tag] != versionID {
			return &fault.NotFoundError{Version: versionID, Tag: tag}
		}
		r.drop(tag, time.Now().UTC())
		return nil
	})
}

func (h *Host) changeTags(
	ctx context.Context, versionID, tag string, mutate func(*functionRecord) error,
) (VersionInfo, error) {
	v, err := h.GetVersion(versionID)
	if err != nil {
		return VersionInfo{}, err
	}
	if err := validateTag(tag); err != nil {
		return VersionInfo{}, err
	}
	f, err := h.lookup(v.FunctionID)
	if err != nil {
		return VersionInfo{}, err
	}
	err = h.change(ctx, f, func(r *functionRecord) error {
		if r.entry(versionID) < 0 {
			return &fault.NotFoundError{Version: versionID}
		}
		return mutate(r)
	})
	if err != nil {
		return VersionInfo{}, err
	}
	return h.GetVersion(versionID)
}

// TagHistory lists which versions have carried a function's tags, newest first.
//
// # Errors
//
// *NotFoundError.
func (h *Host) TagHistory(function string) ([]TagEvent, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.find(function)
	if f == nil {
		return nil, &fault.NotFoundError{Function: function}
	}
	events := slices.Clone(f.record.History)
	slices.Reverse(events)
	return events, nil
}
