package api

import (
	"encoding/json"
	"net/http"
	"time"

	"vivarium/host/catalog"
)

// Function is a function as callers see it.
type Function struct {
	ID            string            `json:"id"`
	FolderID      string            `json:"folderId"`
	CreatedAt     Time              `json:"createdAt"`
	Name          string            `json:"name" doc:"3 to 63 lower-case letters, digits and hyphens; may be empty."`
	Description   string            `json:"description"`
	Labels        map[string]string `json:"labels"`
	LogGroupID    string            `json:"logGroupId"`
	HTTPInvokeURL string            `json:"httpInvokeUrl"`
	Status        string            `json:"status" doc:"ACTIVE or DELETING."`
	Calls         *CallPolicy       `json:"calls,omitempty" doc:"What is kept of its calls; absent when it is the usual. Not the cloud's."`
}

// Version is an immutable version of a function.
type Version struct {
	ID               string            `json:"id"`
	FunctionID       string            `json:"functionId"`
	Description      string            `json:"description"`
	CreatedAt        Time              `json:"createdAt"`
	Runtime          string            `json:"runtime"`
	Entrypoint       string            `json:"entrypoint"`
	Resources        *Resources        `json:"resources"`
	ExecutionTimeout Duration          `json:"executionTimeout"`
	ServiceAccountID string            `json:"serviceAccountId,omitempty"`
	ImageSize        Int64             `json:"imageSize" doc:"Bytes of the archive."`
	ContentSHA256    string            `json:"contentSha256,omitempty" doc:"SHA-256 of the archive, in hexadecimal. Not the cloud's."`
	Status           string            `json:"status" doc:"ACTIVE, OBSOLETE when it carries no tag, or DELETING."`
	Tags             []string          `json:"tags"`
	LogGroupID       string            `json:"logGroupId"`
	Environment      map[string]string `json:"environment"`
	Secrets          []SecretReference `json:"secrets,omitempty"`
	LogOptions       *LogOptions       `json:"logOptions,omitempty"`
	Async            *AsyncConfig      `json:"asyncInvocationConfig,omitempty"`
	MetadataOptions  *MetadataOptions  `json:"metadataOptions,omitempty"`
	TmpfsSize        Int64             `json:"tmpfsSize,omitempty" doc:"Bytes of /tmp; left out when it has 536870912."`
	Mounts           []Mount           `json:"mounts,omitempty"`
	NoFreeze         bool              `json:"noFreeze,omitempty" doc:"Not the cloud's."`
	AllowNet         string            `json:"allowNet,omitempty" doc:"Not the cloud's."`
	AllowBroken      bool              `json:"allowBroken,omitempty" doc:"Not the cloud's."`
	LoadError        *LoadError        `json:"loadError,omitempty" doc:"Only in the response to POST /versions: why the code, which may be broken, does not load. Not the cloud's."`
}

// Mount is a folder at /function/storage/NAME that an instance can write to.
type Mount struct {
	Name          string          `json:"name"`
	Mode          string          `json:"mode,omitempty" doc:"READ_WRITE, which is the default."`
	EphemeralDisk *EphemeralDisk  `json:"ephemeralDiskSpec,omitempty" doc:"Required: there are no other kinds."`
	ObjectStorage json.RawMessage `json:"objectStorage,omitempty" doc:"Not supported."`
}

// EphemeralDisk is a mount that is empty in each new instance, and in memory.
type EphemeralDisk struct {
	Size      Int64 `json:"size" doc:"Bytes that it holds at most, from 1 MiB; what is written counts as memory."`
	BlockSize Int64 `json:"blockSize,omitempty" doc:"Accepted, and of no effect."`
}

const mountWritable = "READ_WRITE"

// LoadError says why a version's code does not load, as calls will.
type LoadError struct {
	Message    string   `json:"errorMessage"`
	Type       string   `json:"errorType"`
	StackTrace []string `json:"stackTrace"`
}

// Resources are what an instance may use.
type Resources struct {
	Memory Int64 `json:"memory" doc:"Bytes: a multiple of 128 MiB, at most 4 GiB."`
}

// LogOptions say which log entries are kept.
type LogOptions struct {
	Disabled bool   `json:"disabled,omitempty" doc:"Must be false."`
	MinLevel string `json:"minLevel,omitempty" doc:"TRACE, DEBUG, INFO, WARN, ERROR or FATAL."`
}

// MetadataOptions say which flavours the metadata service of a function with a
// service account has.
type MetadataOptions struct {
	GCE string `json:"gceHttpEndpoint,omitempty" doc:"ENABLED or DISABLED. Default: ENABLED."`
	AWS string `json:"awsV1HttpEndpoint,omitempty" doc:"ENABLED or DISABLED. Default: ENABLED."`
}

const metadataOn, metadataOff = "ENABLED", "DISABLED"

// AsyncConfig lets a version be called with ?integration=async.
type AsyncConfig struct {
	RetriesCount     Int64   `json:"retriesCount" doc:"Attempts after the first one failed, 0 to 100."`
	SuccessTarget    *Target `json:"successTarget,omitempty"`
	FailureTarget    *Target `json:"failureTarget,omitempty" doc:"Without one, calls that failed become dead letters."`
	ServiceAccountID string  `json:"serviceAccountId,omitempty" doc:"Accepted, and of no effect: outcomes stay in the folder."`
}

// Target is where the outcome of an asynchronous call goes.
type Target struct {
	EmptyTarget    *struct{}       `json:"emptyTarget,omitempty"`
	FunctionTarget *FunctionTarget `json:"functionTarget,omitempty"`
	YMQTarget      json.RawMessage `json:"ymqTarget,omitempty" doc:"Not supported."`
}

// FunctionTarget is a function that gets an outcome as its event.
type FunctionTarget struct {
	FunctionID string `json:"functionId" doc:"Id or name, of a function in the same folder."`
}

// TagEvent is one entry of a function's tag history.
type TagEvent struct {
	FunctionID        string `json:"functionId"`
	FunctionVersionID string `json:"functionVersionId"`
	Tag               string `json:"tag"`
	EffectiveFrom     Time   `json:"effectiveFrom"`
	EffectiveTo       Time   `json:"effectiveTo" doc:"null while the version carries the tag."`
}

// ScalingPolicy bounds and readies the instances of whichever version carries a
// tag.
type ScalingPolicy struct {
	FunctionID           string `json:"functionId"`
	Tag                  string `json:"tag"`
	ProvisionedInstances Int64  `json:"provisionedInstancesCount"`
	ZoneInstancesLimit   Int64  `json:"zoneInstancesLimit"`
	ZoneRequestsLimit    Int64  `json:"zoneRequestsLimit"`
}

// function describes a function.
func (q *request) function(f catalog.FunctionInfo) *Function { return newFunction(f, q.base()) }

// newFunction describes a function, which is called below a server's address.
func newFunction(f catalog.FunctionInfo, base string) *Function {
	return &Function{
		ID: f.ID, FolderID: f.Tenant, CreatedAt: Time(f.CreatedAt), Name: f.Name, Description: f.Description,
		Labels: f.Labels, LogGroupID: f.LogGroupID, HTTPInvokeURL: base + "/" + f.ID, Status: string(f.Status),
		Calls: newCallPolicy(f.Calls),
	}
}

// base returns the server's address, as the caller wrote it.
func (q *request) base() string { return BaseURL(q.Request) }

// BaseURL returns the server's address, as the caller of a request wrote it.
func BaseURL(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// newVersion describes a version.
func newVersion(v catalog.VersionInfo) *Version {
	version := &Version{
		ID: v.ID, FunctionID: v.FunctionID, Description: v.Description, CreatedAt: Time(v.CreatedAt), Runtime: v.Runtime,
		Entrypoint: v.Entrypoint, Resources: &Resources{Int64(v.MemoryMB) << 20}, ExecutionTimeout: Duration(v.Timeout),
		ServiceAccountID: v.ServiceAccountID, ImageSize: Int64(v.ArchiveSize), Status: string(v.Status), Tags: v.Tags,
		LogGroupID: v.LogGroupID, Environment: v.Environment, NoFreeze: v.NoFreeze, AllowNet: v.AllowNet,
		AllowBroken: v.AllowBroken, Secrets: newReferences(v.Secrets), TmpfsSize: Int64(v.TmpBytes),
		ContentSHA256: v.SHA256,
	}
	if e := v.LoadError; e != nil {
		version.LoadError = &LoadError{e.Message, e.Type, e.StackTrace}
	}
	if version.Environment == nil {
		version.Environment = map[string]string{}
	}
	for _, d := range v.Disks {
		disk := &EphemeralDisk{Size: Int64(d.Bytes)}
		version.Mounts = append(version.Mounts, Mount{Name: d.Name, Mode: mountWritable, EphemeralDisk: disk})
	}
	if v.MinLogLevel != "" {
		version.LogOptions = &LogOptions{MinLevel: string(v.MinLogLevel)}
	}
	if v.NoGoogleMetadata || v.NoAmazonMetadata {
		state := map[bool]string{false: metadataOn, true: metadataOff}
		version.MetadataOptions = &MetadataOptions{GCE: state[v.NoGoogleMetadata], AWS: state[v.NoAmazonMetadata]}
	}
	if a := v.Async; a != nil {
		version.Async = &AsyncConfig{
			RetriesCount: Int64(a.Retries), SuccessTarget: newTarget(a.Success), FailureTarget: newTarget(a.Failure),
		}
	}
	return version
}

func newTarget(function string) *Target {
	if function == "" {
		return &Target{EmptyTarget: &struct{}{}}
	}
	return &Target{FunctionTarget: &FunctionTarget{function}}
}

func newTagEvent(functionID string, e catalog.TagEvent) TagEvent {
	return TagEvent{functionID, e.VersionID, e.Tag, Time(e.From), Time(e.To)}
}

func newPolicy(functionID string, p catalog.ScalingPolicy) ScalingPolicy {
	return ScalingPolicy{
		FunctionID: functionID, Tag: p.Tag, ProvisionedInstances: Int64(p.ProvisionedInstances),
		ZoneInstancesLimit: Int64(p.ZoneInstancesLimit), ZoneRequestsLimit: Int64(p.ZoneRequestsLimit),
	}
}

// now is when a change began.
func now() time.Time { return time.Now().UTC() }
