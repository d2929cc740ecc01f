package quota

import (
	"encoding/json"
	"strings"
)

// Quota is something of which a tenant may have only so much.
type Quota int

// Quotas; the table describes each.
const (
	Functions Quota = iota
	Versions
	CodeBytes
	ImageBytes
	Instances
	Sessions
	Memory
	Calls
	Timers
	Secrets
	ServiceAccounts
	AsyncCalls
	AsyncBytes
	LogBytes
	LogStreams
	CallBytes
	Connections
	TrafficBytes
	Count // the number of quotas
)

// table describes each quota. Names appear as they are in JSON and metrics, and
// with hyphens in flags. Defaults of 0 are left to the caller.
var table = [Count]struct {
	name     string
	unit     string
	standard int64  // the default
	bounds   string // what the limit is for
	cure     string // what to do when the quota is used up
}{
	Functions: {"functions", "functions", 1000, "functions", "delete functions"},
	Versions:  {"versions", "versions", 10_000, "versions of all functions", "delete versions"},
	CodeBytes: {"codeBytes", "bytes", 10 << 30, "archives of all versions, each counted", "delete versions"},
	ImageBytes: {"imageBytes", "bytes", 4 << 30,
		"images of versions on disk; the least recently used go first, and are rebuilt when they are needed", "wait until instances are free"},
	Instances: {"instances", "instances", 1000, "instances at once, including those being started", "wait until instances are free"},
	Sessions:  {"sessions", "sessions", 100, "sessions at once, each of which is an instance, too", "end sessions"},
	Memory: {"memory", "bytes", 0,
		"memory for instances, images, unpacked code and the bodies of calls", "wait until instances are free"},
	Calls:           {"calls", "calls", 1000, "calls in progress or waiting for an instance", "call again later"},
	Timers:          {"timers", "timers", 100, "timers of all functions", "delete timers"},
	Secrets:         {"secrets", "versions", 1000, "versions of all secrets", "delete secrets"},
	ServiceAccounts: {"serviceAccounts", "accounts", 100, "service accounts", "delete service accounts"},
	AsyncCalls:      {"asyncCalls", "calls", 10_000, "queued calls", "wait until queued calls are made"},
	AsyncBytes:      {"asyncBytes", "bytes", 256 << 20, "bodies of queued calls", "wait until queued calls are made"},
	LogBytes:        {"logBytes", "bytes", 256 << 20, "log entries in the store; the oldest go first", ""},
	CallBytes:       {"callBytes", "bytes", 64 << 20, "calls in the history; the oldest go first", ""},
	LogStreams:      {"logStreams", "readers", 100, "readers that follow a log, and streams over gRPC", "end other readers"},
	Connections:     {"connections", "connections", 1000, "connections from instances to elsewhere", "close connections"},
	TrafficBytes: {"trafficBytes", "bytes", 64 << 30,
		"bytes sent to elsewhere and received within an hour", "wait until the hour is over"},
}

// String returns the quota's name, such as codeBytes.
func (q Quota) String() string { return table[q].name }

// Unit returns what the quota counts, such as bytes.
func (q Quota) Unit() string { return table[q].unit }

// Bounds describes what the quota bounds, for people.
func (q Quota) Bounds() string { return table[q].bounds }

// Flag returns the quota's name in flags, such as code-bytes.
func (q Quota) Flag() string {
	var b strings.Builder
	for _, c := range q.String() {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// Of returns the quota with a name.
func Of(name string) (q Quota, ok bool) {
	for q := range Count {
		if table[q].name == name {
			return q, true
		}
	}
	return -1, false
}

// Kind is a kind of thing that is held. Each counts against one quota; several
// may count against the same. It is text so that a Kind can't be the index of
// Amounts, where a Quota belongs.
type Kind string

// Kinds. Memory and files are counted in bytes, everything else in units.
const (
	// Call is a call in progress or waiting.
	Call Kind = "call"
	// LogStream is a reader that follows a log.
	LogStream Kind = "log stream"
	// Stream is a call over gRPC that goes on until its caller ends it.
	Stream Kind = "stream"
	// Instance is a live instance, or one being started.
	Instance Kind = "instance"
	// Session is a session, whose instance counts as one besides.
	Session Kind = "session"
	// InstanceMemory is what every instance costs: the host's own data for it,
	// and the first pages that it writes to.
	InstanceMemory Kind = "instance memory"
	// OwnMemory is what an instance takes beyond that: linear memory beyond its
	// image, pages of the image that it has written to, machine stack, files in
	// /tmp; and, once for all instances of an image, the pages that they share.
	OwnMemory Kind = "own memory"
	// CodeTree is a version's unpacked code.
	CodeTree Kind = "code tree"
	// Body is the body of a request or response.
	Body Kind = "body"
	// LogBuffer is log text that is not yet stored or sent.
	LogBuffer Kind = "log buffer"
	// Profile is what is known of where a call's time goes.
	Profile Kind = "profile"
	// ImageFile is a version's image on disk.
	ImageFile Kind = "image file"
	// Connection is a connection from an instance to elsewhere.
	Connection Kind = "connection"
	// Traffic is what instances have sent to elsewhere and received, which counts for a
	// while.
	Traffic Kind = "traffic"
)

// kindQuotas maps each kind to its quota.
var kindQuotas = map[Kind]Quota{
	Call: Calls, LogStream: LogStreams, Stream: LogStreams, Instance: Instances, Session: Sessions,
	InstanceMemory: Memory, OwnMemory: Memory, CodeTree: Memory,
	Body: Memory, LogBuffer: Memory, Profile: Memory, ImageFile: ImageBytes, Connection: Connections,
	Traffic: TrafficBytes,
}

// Quota returns the quota that the kind counts against.
func (k Kind) Quota() Quota { return kindQuotas[k] }

// Amounts is a number for each Quota, as in Amounts{Functions: 10}. As limits,
// 0 means the default and a negative number no limit.
type Amounts [Count]int64

// Defaults returns the limits that tenants have by default. They keep one
// tenant from displacing the others, and one that is alone on a machine hardly
// notices them. There is none for memory: it depends on the machine.
func Defaults() (a Amounts) {
	for q := range Count {
		a[q] = table[q].standard
	}
	return a
}

// MarshalJSON writes an object keyed by quota names, without zeros.
func (a Amounts) MarshalJSON() ([]byte, error) {
	named := map[string]int64{}
	for q, n := range a {
		if n != 0 {
			named[Quota(q).String()] = n
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON wrote. It ignores unknown names: another
// version of the program may have more.
func (a *Amounts) UnmarshalJSON(text []byte) error {
	var named map[string]int64
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	for q := range Count {
		a[q] = named[q.String()]
	}
	return nil
}

// Or returns a with its zeros filled from other.
func (a Amounts) Or(other Amounts) Amounts {
	for q := range a {
		if a[q] == 0 {
			a[q] = other[q]
		}
	}
	return a
}
