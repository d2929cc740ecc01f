package catalog

import (
	"context"
	"regexp"
	"slices"
	"time"

	"vivarium/host/access"
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

// ValidateTag checks a tag that an owner may set (contract §6.3).
func ValidateTag(tag string) error {
	switch {
	case tag == LatestTag:
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
		if err := ValidateTag(tag); err != nil {
			return err
		}
	}
	return nil
}

// checkTags refuses a record in which a version has too many tags.
func (r *functionRecord) checkTags() error {
	count := map[string]int{}
	for tag, id := range r.Tags {
		if tag == LatestTag {
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
// *fault.NotFoundError, *fault.InvalidError, *fault.ConflictError for LatestTag and
// for functions that are being deleted, fault.ErrUnavailable.
func (c *Catalog) SetTag(ctx context.Context, p access.Principal, versionID, tag string) (VersionInfo, error) {
	f, v, err := c.records.version(p, "SetTag", versionID)
	if err != nil {
		return VersionInfo{}, err
	}
	return c.records.changeTags(ctx, f, v, tag, func(r *functionRecord) error {
		r.move(tag, v.ID, time.Now().UTC())
		return r.checkTags()
	})
}

// RemoveTag takes a tag from a version. A version without tags is obsolete.
//
// # Errors
//
// As SetTag; *fault.NotFoundError also when the version does not carry the tag.
func (c *Catalog) RemoveTag(ctx context.Context, p access.Principal, versionID, tag string) (VersionInfo, error) {
	f, v, err := c.records.version(p, "RemoveTag", versionID)
	if err != nil {
		return VersionInfo{}, err
	}
	return c.records.changeTags(ctx, f, v, tag, func(r *functionRecord) error {
		if r.Tags[tag] != v.ID {
			return &fault.NotFoundError{Version: v.ID, Tag: tag}
		}
		r.drop(tag, time.Now().UTC())
		return nil
	})
}

func (r *records) changeTags(
	ctx context.Context, f *function, v *Version, tag string, mutate func(*functionRecord) error,
) (VersionInfo, error) {
	if err := ValidateTag(tag); err != nil {
		return VersionInfo{}, err
	}
	_, err := r.change(ctx, f, func(record *functionRecord) error {
		if record.entry(v.ID) < 0 {
			return &fault.NotFoundError{Version: v.ID}
		}
		return mutate(record)
	})
	if err != nil {
		return VersionInfo{}, err
	}
	return r.describe(v), nil
}

// TagHistory lists which versions have carried a function's tags, newest first.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) TagHistory(p access.Principal, function string) ([]TagEvent, error) {
	_, r, err := c.records.function(p, "TagHistory", function)
	if err != nil {
		return nil, err
	}
	events := slices.Clone(r.History)
	slices.Reverse(events)
	return events, nil
}
