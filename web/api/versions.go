package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/store"
	pythonwasi "vivarium/python-wasi"
	"vivarium/web/manage"
)

// CreateVersionRequest is the body of POST /versions. The fields that are here
// only to be refused by name are the cloud's.
type CreateVersionRequest struct {
	FunctionID       string            `json:"functionId" doc:"Id or name."`
	Runtime          string            `json:"runtime" doc:"One of GET /runtimes. Default: python313, which those of older Pythons mean too. python313-full has compiled packages built in, and python313-science, if the program was built with it, numpy and pandas too."`
	Description      string            `json:"description"`
	Entrypoint       string            `json:"entrypoint" doc:"module.attribute, such as main.handler."`
	Resources        *Resources        `json:"resources" doc:"Default: 128 MiB."`
	ExecutionTimeout *Duration         `json:"executionTimeout" doc:"More than 0s, at most 3600s. Default: 3s."`
	ServiceAccountID string            `json:"serviceAccountId"`
	Content          []byte            `json:"content" doc:"A zip archive, base64; at most 52428800 bytes. This, package or versionId."`
	Package          *Package          `json:"package,omitempty" doc:"A zip archive in the object storage that the server takes packages from, --object-storage."`
	VersionID        string            `json:"versionId" doc:"Take the code of this version."`
	Environment      map[string]string `json:"environment"`
	Secrets          []SecretReference `json:"secrets"`
	Tag              []string          `json:"tag"`
	LogOptions       *LogOptions       `json:"logOptions"`
	Async            *AsyncConfig      `json:"asyncInvocationConfig"`
	MetadataOptions  *MetadataOptions  `json:"metadataOptions"`
	Concurrency      Int64             `json:"concurrency" doc:"0 or 1: an instance serves one call at a time."`
	TmpfsSize        Int64             `json:"tmpfsSize" doc:"Bytes of /tmp: 0 for 536870912 or, with 1 GiB of memory or more, up to three quarters of it."`
	Mounts           []Mount           `json:"mounts" doc:"At most 5."`
	NoFreeze         bool              `json:"noFreeze" doc:"Each instance imports the module itself, even where one import would do for all. Not the cloud's."`
	AllowBroken      bool              `json:"allowBroken" doc:"Make the version even if its code does not load. Not the cloud's."`
	AllowNet         string            `json:"allowNet" doc:"What the function may reach: hosts, *.DOMAIN, addresses and prefixes with commas between them, each with :PORT if only one is meant; public is the public internet. Default: nothing. Not the cloud's."`

	StorageMounts        json.RawMessage `json:"storageMounts,omitempty" doc:"Not supported."`
	Connectivity         json.RawMessage `json:"connectivity,omitempty" doc:"Not supported."`
	NamedServiceAccounts json.RawMessage `json:"namedServiceAccounts,omitempty" doc:"Not supported."`
}

// TagRequest is the body of POST /versions/{functionVersionId}:setTag and
// :removeTag.
type TagRequest struct {
	Tag string `json:"tag"`
}

// ListVersionsResponse is a page of versions, newest first.
type ListVersionsResponse struct {
	Versions      []*Version `json:"versions"`
	NextPageToken string     `json:"nextPageToken,omitempty"`
}

// ListRuntimesResponse is the names that a version's runtime may have.
type ListRuntimesResponse struct {
	Runtimes []string `json:"runtimes"`
}

func (h *Handler) listRuntimes(*request) (any, error) {
	return &ListRuntimesResponse{pythonwasi.Runtimes()}, nil
}

func (h *Handler) listVersions(q *request) (any, error) {
	all, err := h.host.Catalog().Versions(q.principal, q.query.Get("functionId"))
	if err != nil {
		return nil, err
	}
	versions, next, err := page(q, all, manage.VersionKey)
	if err != nil {
		return nil, err
	}
	answer := &ListVersionsResponse{Versions: []*Version{}, NextPageToken: next}
	for _, v := range versions {
		answer.Versions = append(answer.Versions, newVersion(v))
	}
	return answer, nil
}

func (h *Handler) getVersion(q *request) (any, error) {
	v, err := h.host.Catalog().Version(q.principal, q.path["functionVersionId"])
	if err != nil {
		return nil, err
	}
	return newVersion(v), nil
}

func (h *Handler) getVersionByTag(q *request) (any, error) {
	function := q.query.Get("functionId")
	if function == "" {
		return nil, invalid("functionId", "is missing; give the id or name of a function")
	}
	v, err := h.host.Catalog().VersionByTag(q.principal, function, q.query.Get("tag"))
	if err != nil {
		return nil, err
	}
	return newVersion(v), nil
}

func (h *Handler) createVersion(q *request) (any, error) {
	started, body := now(), q.body.(*CreateVersionRequest)
	spec, err := body.spec()
	if err != nil {
		return nil, err
	}
	if body.Package != nil {
		release, err := h.fetch(q, body)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	var v catalog.VersionInfo
	if body.VersionID != "" {
		v, err = h.host.Catalog().CopyVersion(q.Context(), q.principal, body.FunctionID, spec, body.VersionID, body.Tag)
	} else {
		v, err = h.host.Catalog().CreateVersion(q.Context(), q.principal, body.FunctionID, spec, body.Content, body.Tag)
	}
	if err != nil {
		return nil, err
	}
	return h.done(q, "Create function version", "CreateFunctionVersionMetadata", ofVersion(v), started,
		ids{"functionVersionId": v.ID}, v), nil
}

// spec returns what the request asks for in the host's words. The host checks
// what is left to check.
func (r *CreateVersionRequest) spec() (catalog.VersionSpec, error) {
	spec := catalog.VersionSpec{
		Description: r.Description, Runtime: r.Runtime, Entrypoint: r.Entrypoint, Environment: r.Environment,
		Secrets:          references(r.Secrets),
		ServiceAccountID: r.ServiceAccountID, NoFreeze: r.NoFreeze, AllowNet: r.AllowNet, AllowBroken: r.AllowBroken,
	}
	for _, f := range []struct {
		name  string
		value json.RawMessage
		why   string
	}{
		{"storageMounts", r.StorageMounts, "there is no object storage here; mounts has ephemeral disks"},
		{"connectivity", r.Connectivity, "functions have no networks of their own"},
		{"namedServiceAccounts", r.NamedServiceAccounts, "use serviceAccountId"},
	} {
		if !empty(f.value) {
			return spec, invalid(f.name, "is not supported: "+f.why)
		}
	}
	switch {
	case r.FunctionID == "":
		return spec, invalid("functionId", "is missing; give the id or name of a function")
	case !r.hasOneSource():
		return spec, invalid("content", "give the code in exactly one way: content, package or versionId")
	case len(r.Content) > MaxContent:
		return spec, invalid("content", fmt.Sprintf("has %d bytes, at most %d are allowed", len(r.Content), MaxContent))
	case r.Concurrency < 0 || r.Concurrency > 1:
		return spec, invalid("concurrency", "must be 0 or 1: an instance of Python serves one call at a time")
	}
	if r.TmpfsSize != catalog.DefaultTmpBytes {
		spec.TmpBytes = int64(r.TmpfsSize)
	}
	for i, m := range r.Mounts {
		field := fmt.Sprintf("mounts[%d].", i)
		switch {
		case !empty(m.ObjectStorage):
			return spec, invalid(field+"objectStorage", "is not supported: there is no object storage here; use ephemeralDiskSpec")
		case m.EphemeralDisk == nil:
			return spec, invalid(field+"ephemeralDiskSpec", "is missing")
		case m.Mode != "" && m.Mode != "MODE_UNSPECIFIED" && m.Mode != mountWritable:
			return spec, invalid(field+"mode", "must be READ_WRITE: an ephemeral disk is empty at first")
		}
		spec.Disks = append(spec.Disks, catalog.Disk{Name: m.Name, Bytes: int64(m.EphemeralDisk.Size)})
	}
	if r.Resources != nil {
		memory := r.Resources.Memory
		if memory <= 0 || memory%(1<<20) != 0 || memory > math.MaxInt32<<20 {
			return spec, invalid("resources.memory", fmt.Sprintf("%d must be a multiple of 134217728 (128 MiB), at least that", memory))
		}
		spec.MemoryMB = int(memory >> 20)
	}
	if r.ExecutionTimeout != nil {
		if spec.Timeout = time.Duration(*r.ExecutionTimeout); spec.Timeout <= 0 {
			return spec, invalid("executionTimeout", "must be more than 0s and at most 3600s")
		}
	}
	if o := r.MetadataOptions; o != nil {
		for field, option := range map[string]struct {
			value string
			off   *bool
		}{
			"gceHttpEndpoint":   {o.GCE, &spec.NoGoogleMetadata},
			"awsV1HttpEndpoint": {o.AWS, &spec.NoAmazonMetadata},
		} {
			switch option.value {
			case "", "METADATA_OPTION_UNSPECIFIED", metadataOn:
			case metadataOff:
				*option.off = true
			default:
				return spec, invalid("metadataOptions."+field, "must be ENABLED or DISABLED")
			}
		}
	}
	if o := r.LogOptions; o != nil {
		if o.Disabled {
			return spec, invalid("logOptions.disabled", "must be false: logs can't be switched off")
		}
		if o.MinLevel != "" && o.MinLevel != "LEVEL_UNSPECIFIED" {
			spec.MinLogLevel = logs.Level(o.MinLevel)
		}
	}
	return spec, r.async(&spec)
}

// Makes reports whether the request would make a version that has the code and the
// settings of v. Tags are no settings.
func (r *CreateVersionRequest) Makes(v *Version) bool {
	spec, err := r.spec()
	if err != nil || v.ContentSHA256 != store.CodeName(r.Content) {
		return false
	}
	made := newVersion(catalog.VersionInfo{Version: &catalog.Version{VersionSpec: spec.WithDefaults()}})
	// What a version has beside its settings.
	made.ID, made.FunctionID, made.CreatedAt, made.Status, made.Tags = v.ID, v.FunctionID, v.CreatedAt, v.Status, v.Tags
	made.ImageSize, made.ContentSHA256, made.LogGroupID, made.LoadError = v.ImageSize, v.ContentSHA256, v.LogGroupID, v.LoadError
	return sameJSON(made, v)
}

func sameJSON(a, b any) bool {
	one, err := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(one, two)
}

// async adds what the request says of asynchronous calls.
func (r *CreateVersionRequest) async(spec *catalog.VersionSpec) error {
	if r.Async == nil {
		return nil
	}
	const field = "asyncInvocationConfig."
	if n := r.Async.RetriesCount; n < 0 || n > 100 {
		return invalid(field+"retriesCount", fmt.Sprintf("%d must be from 0 to 100", n))
	}
	spec.Async = &catalog.AsyncConfig{Retries: int(r.Async.RetriesCount)}
	for _, t := range []struct {
		name string
		from *Target
		to   *string
	}{
		{"successTarget", r.Async.SuccessTarget, &spec.Async.Success},
		{"failureTarget", r.Async.FailureTarget, &spec.Async.Failure},
	} {
		switch {
		case t.from == nil:
		case !empty(t.from.YMQTarget):
			return invalid(field+t.name+".ymqTarget", "is not supported: there are no message queues here; use functionTarget")
		case t.from.FunctionTarget != nil && t.from.EmptyTarget != nil:
			return invalid(field+t.name, "must have one of emptyTarget and functionTarget")
		case t.from.FunctionTarget != nil:
			if *t.to = t.from.FunctionTarget.FunctionID; *t.to == "" {
				return invalid(field+t.name+".functionTarget.functionId", "is missing; give the id or name of a function")
			}
		}
	}
	return nil
}

// empty reports whether a field was left out or says nothing.
func empty(value json.RawMessage) bool {
	switch strings.TrimSpace(string(value)) {
	case "", "null", "{}", "[]":
		return true
	}
	return false
}

func (h *Handler) deleteVersion(q *request) (any, error) {
	started := now()
	force, err := q.flag("force")
	if err != nil {
		return nil, err
	}
	v, err := h.host.Catalog().Version(q.principal, q.path["functionVersionId"])
	if err != nil {
		return nil, err
	}
	return h.drain(q, "Delete function version", "DeleteFunctionVersionMetadata", ofVersion(v), started,
		ids{"functionVersionId": v.ID}, func() error {
			return h.host.Catalog().DeleteVersion(noEnd(q.Context()), q.principal, v.ID, force)
		})
}

func (h *Handler) setTag(q *request) (any, error) {
	started := now()
	v, err := h.host.Catalog().SetTag(q.Context(), q.principal, q.path["functionVersionId"], q.body.(*TagRequest).Tag)
	if err != nil {
		return nil, err
	}
	return h.done(q, "Set function tag", "SetFunctionTagMetadata", ofVersion(v), started,
		ids{"functionVersionId": v.ID}, v), nil
}

func (h *Handler) removeTag(q *request) (any, error) {
	started := now()
	v, err := h.host.Catalog().RemoveTag(q.Context(), q.principal, q.path["functionVersionId"], q.body.(*TagRequest).Tag)
	if err != nil {
		return nil, err
	}
	return h.done(q, "Remove function tag", "RemoveFunctionTagMetadata", ofVersion(v), started,
		ids{"functionVersionId": v.ID}, v), nil
}
