package host

import (
	"time"

	"vivarium/wasm/vfs"
)

// LatestTag is the tag that the newest version of a function carries.
const LatestTag = "$latest"

// Version is one immutable version of a function (contract §6.2). Safe for
// concurrent use.
type Version struct {
	ID           string
	FunctionID   string
	FunctionName string
	Tenant       string // whose share of the processors it uses
	LogGroupID   string
	CreatedAt    time.Time
	VersionSpec

	code *vfs.Tree
	pool *pool
}

// VersionSpec is what the owner of a function says of a version. The zero
// value of a member means its documented default.
type VersionSpec struct {
	Entrypoint  string            // module.attribute, such as main.handler
	MemoryMB    int               // memory limit in MiB; DefaultMemoryMB
	Timeout     time.Duration     // execution timeout; DefaultTimeout
	Environment map[string]string // contract §6.8
	// ServiceAccountID names whom the function acts for: its calls get a token.
	// Empty means nobody, and no token.
	ServiceAccountID string
	// NoFreeze makes every instance import the module itself, even where an
	// import frozen once would do for all.
	NoFreeze bool
	// PlainLogs says that a line that is a JSON object is no structured entry.
	// STRUCTURED_LOGGING=false in the environment says so too.
	PlainLogs bool
	// MinLogLevel drops log entries of a lower level, the platform's own
	// included. Entries without a level stay. Empty means that all do.
	MinLogLevel Level
	// MaxInstances bounds the instances that live at once; DefaultMaxInstances.
	MaxInstances int
	// MinInstances are kept ready, loaded, before the first call.
	MinInstances int
}

// Defaults of VersionSpec.
const (
	DefaultMemoryMB     = 128
	DefaultTimeout      = 3 * time.Second
	DefaultMaxInstances = 10
)

// platformEnvironment returns the variables that the platform itself sets, whose
// names no version may use (contract §6.8).
func (s VersionSpec) platformEnvironment() map[string]string {
	return map[string]string{
		"_HANDLER":           s.Entrypoint,
		"LAMBDA_TASK_ROOT":   "/function/code",
		"LAMBDA_RUNTIME_DIR": "/function/runtime",
		"PATH":               "/usr/local/bin:/usr/bin:/bin", // where nothing is: there are no programs
	}
}

func (s VersionSpec) withDefaults() VersionSpec {
	if s.MemoryMB == 0 {
		s.MemoryMB = DefaultMemoryMB
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.MaxInstances == 0 {
		s.MaxInstances = DefaultMaxInstances
	}
	return s
}
