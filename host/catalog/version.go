package catalog

import (
	"cmp"
	"strings"
	"time"

	"vivarium/host/logs"
	pythonwasi "vivarium/python-wasi"
)

// LatestTag is the tag that the newest version of a function carries.
const LatestTag = "$latest"

// Version is one immutable version of a function (contract §6.2). Safe for
// concurrent use.
type Version struct {
	ID           string
	FunctionID   string
	FunctionName string // when the version was made or loaded
	Tenant       string // whose share of the processors it uses
	LogGroupID   string
	CreatedAt    time.Time
	ArchiveSize  int64  // of the archive it was made from, in bytes
	SHA256       string // of that archive; empty when it is in no store
	VersionSpec

	// Transient versions are in memory alone: no restart survives them.
	Transient bool
}

// LogOwner returns whose log the version's entries belong to.
func (v *Version) LogOwner() logs.Owner {
	return logs.Owner{Tenant: v.Tenant, Function: v.FunctionID, Transient: v.Transient}
}

// Reference returns what the function is called, for people and for Resolve: its
// name, TENANT/NAME outside of the default tenant, or its id when it has no name.
func (v *Version) Reference() string {
	return cmp.Or(Reference(v.Tenant, v.FunctionName), v.FunctionID)
}

// LogSource returns what the log entries of a call have in common.
func (v *Version) LogSource(requestID string) logs.Source {
	return logs.Source{
		FunctionID: v.FunctionID, VersionID: v.ID, RequestID: requestID, MinLevel: v.MinLogLevel,
		Plain: v.PlainLogs || strings.EqualFold(v.Environment["STRUCTURED_LOGGING"], "false"),
	}
}

// VersionSpec is what the owner of a function says of a version. The zero
// value of a member means its documented default.
type VersionSpec struct {
	Description string            `json:"description,omitempty"`
	Runtime     string            `json:"runtime"`               // one of pythonwasi.Runtimes; that of the lean guest
	Entrypoint  string            `json:"entrypoint"`            // module.attribute, such as main.handler
	MemoryMB    int               `json:"memory_mb"`             // memory limit in MiB; DefaultMemoryMB
	Timeout     time.Duration     `json:"timeout"`               // execution timeout; DefaultTimeout
	Environment map[string]string `json:"environment,omitempty"` // contract §6.8
	// Secrets are environment variables whose values are secrets.
	Secrets []SecretReference `json:"secrets,omitempty"`
	// ServiceAccountID names whom the function acts for: its calls get a token.
	// Empty means nobody, and no token.
	ServiceAccountID string `json:"service_account_id,omitempty"`
	// NoGoogleMetadata and NoAmazonMetadata turn off the flavours of the metadata
	// service, where a function with a service account finds its token.
	NoGoogleMetadata bool `json:"no_google_metadata,omitempty"`
	NoAmazonMetadata bool `json:"no_amazon_metadata,omitempty"`
	// NoFreeze makes every instance import the module itself, even where an
	// import frozen once would do for all.
	NoFreeze bool `json:"no_freeze,omitempty"`
	// AllowBroken makes the version even if its code does not load.
	AllowBroken bool `json:"allow_broken,omitempty"`
	// PlainLogs says that a line that is a JSON object is no structured entry.
	// STRUCTURED_LOGGING=false in the environment says so too.
	PlainLogs bool `json:"plain_logs,omitempty"`
	// MinLogLevel drops log entries of a lower level, the platform's own
	// included. Entries without a level stay. Empty means that all do.
	MinLogLevel logs.Level `json:"min_log_level,omitempty"`
	// MaxInstances bounds the instances that live at once; DefaultMaxInstances.
	MaxInstances int `json:"max_instances"`
	// MinInstances are kept ready, loaded, before the first call.
	MinInstances int `json:"min_instances,omitempty"`
	// TmpBytes is the size of /tmp, in bytes; 0 means DefaultTmpBytes.
	TmpBytes int64 `json:"tmp_bytes,omitempty"`
	// Disks are further folders that an instance can write to.
	Disks []Disk `json:"disks,omitempty"`
	// AllowNet says what the function may reach, as egress.ParsePolicy reads it; empty
	// is nothing.
	AllowNet string `json:"allow_net,omitempty"`
	// Async lets the version be called asynchronously; nil means that it can't.
	Async *AsyncConfig `json:"async,omitempty"`
}

// SecretReference is an environment variable whose value is an entry of a secret, of the
// same tenant (contract §6.2).
type SecretReference struct {
	ID        string `json:"id"`         // in a request, a name will do
	VersionID string `json:"version_id"` // of the secret; in a request, empty means the current one
	Key       string `json:"key"`        // of the entry
	Variable  string `json:"variable"`
}

// Disk is an ephemeral disk: a folder of an instance's own at /function/storage/NAME, in
// memory, as /tmp is (contract §6.2).
type Disk struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // that it holds at most
}

// AsyncConfig says what becomes of asynchronous calls (contract §7.4).
type AsyncConfig struct {
	Retries int `json:"retries"` // after the first attempt failed
	// Success and Failure name the functions of the same tenant, by id or name,
	// that get the outcome. Without Failure, calls that failed become dead letters.
	Success string `json:"success,omitempty"`
	Failure string `json:"failure,omitempty"`
}

// Defaults of VersionSpec.
const (
	DefaultMemoryMB     = 128
	DefaultTimeout      = 3 * time.Second
	DefaultMaxInstances = 10
	DefaultTmpBytes     = 512 << 20
)

// PlatformEnvironment returns the variables that the platform itself sets, whose
// names no version may use (contract §6.8).
func (s VersionSpec) PlatformEnvironment() map[string]string {
	return map[string]string{
		"_HANDLER":           s.Entrypoint,
		"LAMBDA_TASK_ROOT":   "/function/code",
		"LAMBDA_RUNTIME_DIR": "/function/runtime",
		"PATH":               "/usr/local/bin:/usr/bin:/bin", // where nothing is: there are no programs
	}
}

// WithDefaults returns the specification with the defaults where it says nothing.
func (s VersionSpec) WithDefaults() VersionSpec {
	if s.MemoryMB == 0 {
		s.MemoryMB = DefaultMemoryMB
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Runtime == "" {
		s.Runtime = pythonwasi.Lean.Name()
	}
	if s.MaxInstances == 0 {
		s.MaxInstances = DefaultMaxInstances
	}
	return s
}
