package catalog

import (
	"maps"
	"slices"
	"time"

	"vivarium/host/history"
)

// functionRecord is the stored state of a function. All of it changes in one
// step: a version exists from the moment that its function's record lists it. A
// record is never changed in place: what it has is handed out.
type functionRecord struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Tenant      string            `json:"tenant"`
	LogGroupID  string            `json:"log_group_id"`
	Public      bool              `json:"public,omitempty"`
	PublicRole  string            `json:"public_role,omitempty"`
	Status      Status            `json:"status"`
	CreatedAt   time.Time         `json:"created_at"`
	Versions    []versionEntry    `json:"versions,omitempty"` // in order of creation
	Tags        map[string]string `json:"tags,omitempty"`     // version ids by tag
	History     []TagEvent        `json:"history,omitempty"`  // newest last
	Policies    []ScalingPolicy   `json:"policies,omitempty"` // by tag
	Calls       history.Policy    `json:"calls,omitzero"`     // what is kept of them
}

// versionEntry is a version's place in its function's record.
type versionEntry struct {
	ID string `json:"id"`
	// ObsoleteSince is when its last tag left it; zero while it has one.
	ObsoleteSince time.Time `json:"obsolete_since,omitzero"`
}

// versionRecord is the stored form of a version.
type versionRecord struct {
	ID         string      `json:"id"`
	FunctionID string      `json:"function_id"`
	CreatedAt  time.Time   `json:"created_at"`
	Spec       VersionSpec `json:"spec"`
	SHA256     string      `json:"sha256"`
	Size       int64       `json:"size"` // of the archive, in bytes
}

// newRecord returns the record of a new function. The specification names a tenant.
func newRecord(spec FunctionSpec) functionRecord {
	return functionRecord{
		ID: NewID(FunctionPrefix), Name: spec.Name, Description: spec.Description, Labels: maps.Clone(spec.Labels),
		Tenant: spec.Tenant, LogGroupID: NewID(LogGroupPrefix), Status: StatusActive, CreatedAt: time.Now().UTC(),
		Tags: map[string]string{},
	}
}

// clone returns a copy that can be changed.
func (r functionRecord) clone() functionRecord {
	r.Labels, r.Tags = maps.Clone(r.Labels), maps.Clone(r.Tags)
	r.Versions, r.History, r.Policies = slices.Clone(r.Versions), slices.Clone(r.History), slices.Clone(r.Policies)
	return r
}

func (r *functionRecord) reference() string { return Reference(r.Tenant, r.Name) }

// entry returns the index of a version, or -1.
func (r *functionRecord) entry(versionID string) int {
	return slices.IndexFunc(r.Versions, func(e versionEntry) bool { return e.ID == versionID })
}

// tagsOf lists a version's tags by name.
func (r *functionRecord) tagsOf(versionID string) []string {
	tags := []string{}
	for tag, id := range r.Tags {
		if id == versionID {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// noteObsolete notes which versions have lost their last tag.
func (r *functionRecord) noteObsolete(now time.Time) {
	tagged := map[string]bool{}
	for _, id := range r.Tags {
		tagged[id] = true
	}
	for i := range r.Versions {
		switch e := &r.Versions[i]; {
		case tagged[e.ID]:
			e.ObsoleteSince = time.Time{}
		case e.ObsoleteSince.IsZero():
			e.ObsoleteSince = now
		}
	}
}

// newVersion returns the version that a record of it and of its function tell of.
func newVersion(f functionRecord, r versionRecord) *Version {
	return &Version{
		ID: r.ID, FunctionID: f.ID, FunctionName: f.Name, Tenant: f.Tenant, LogGroupID: f.LogGroupID,
		CreatedAt: r.CreatedAt, VersionSpec: r.Spec.WithDefaults(),
		ArchiveSize: r.Size, SHA256: r.SHA256,
	}
}
