package run

import (
	"cmp"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Defaults and limits of SessionSpec.
const (
	DefaultSessionIdle     = 10 * time.Minute
	MaxSessionIdle         = time.Hour
	DefaultSessionLifetime = time.Hour
	MaxSessionLifetime     = 24 * time.Hour
	DefaultSnippetTimeout  = 10 * time.Second

	minSessionTime = time.Second
	// sessionTmpBytes bounds the files of a session.
	sessionTmpBytes = 64 << 20
	// sessionWait is how long something waits that a session does one at a time.
	sessionWait = 10 * time.Second
	// interruptPatience is how long an interrupted snippet has to come to its end.
	interruptPatience = 2 * time.Second
	// sessionTick is how often sessions are looked at that may have come to their end.
	sessionTick = time.Second
)

// sessionEntrypoint is the runtime's own handler of snippets.
const sessionEntrypoint = "vivarium._session.run"

// SessionPrefix begins the ids of sessions.
const SessionPrefix = "d4s"

// isSession reports whether that is not a version, but what a session runs as.
func (v *live) isSession() bool { return strings.HasPrefix(v.FunctionID, SessionPrefix) }

// SessionSpec says what a session may have. Zero values mean the defaults.
type SessionSpec struct {
	Runtime     string
	MemoryMB    int
	Environment map[string]string
	AllowNet    string        // what it may reach, as in a version
	Timeout     time.Duration // of a snippet that names none; DefaultSnippetTimeout
	Idle        time.Duration // it ends when it was not used for so long; DefaultSessionIdle
	Lifetime    time.Duration // it ends so long after it began; DefaultSessionLifetime
}

// version returns the specification as that of a version, with its defaults.
func (s SessionSpec) version() catalog.VersionSpec {
	return catalog.VersionSpec{
		Entrypoint: sessionEntrypoint, Runtime: s.Runtime, MemoryMB: s.MemoryMB, Environment: s.Environment,
		AllowNet: s.AllowNet, Timeout: cmp.Or(s.Timeout, DefaultSnippetTimeout), PlainLogs: true,
	}.WithDefaults()
}

// validate checks what validating a version does not.
func (s SessionSpec) validate() error {
	for field, c := range map[string]struct{ value, most time.Duration }{
		"idle_timeout": {s.Idle, MaxSessionIdle}, "lifetime": {s.Lifetime, MaxSessionLifetime},
	} {
		if c.value < minSessionTime || c.value > c.most {
			return fault.Invalidf(field, "%s must be %s to %s", c.value, minSessionTime, c.most)
		}
	}
	return nil
}

// SessionInfo tells of a session.
type SessionInfo struct {
	ID       string
	Tenant   string
	Parent   string // that it was forked from; may be empty, or gone
	Spec     SessionSpec
	Created  time.Time
	Used     time.Time // last
	Running  bool      // a snippet runs
	Snippets int       // run so far, in those that it was forked from too
	Memory   int64     // bytes of linear memory
}

// Ends returns when the session ends unless it is used before.
func (s SessionInfo) Ends() time.Time {
	idle, end := s.Used.Add(s.Spec.Idle), s.Created.Add(s.Spec.Lifetime)
	if idle.Before(end) {
		return idle
	}
	return end
}
