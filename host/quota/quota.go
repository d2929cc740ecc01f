package quota

import (
	"encoding/json"
	"strings"
)

// Quota is a thing of which a tenant may have only so much.
type Quota int

// What there are quotas for; the table says what each bounds.
const (
	Functions Quota = iota
	Versions
	CodeBytes
	ImageBytes
	Instances
	Memory
	Calls
	Timers
	AsyncCalls
	AsyncBytes
	LogBytes
	LogStreams
	Connections
	Count // is no quota: how many there are
)

// table is all there is to say of each quota. The names are those in JSON, in
// metrics and, with hyphens, in flags. A default of 0 is the caller's to give.
var table = [Count]struct {
	name     string
	unit     string
	standard int64  // what a tenant may have unless it is said otherwise
	bounds   string // what the limit is for
	cure     string // what to do when it is used up
}{
	Functions: {"functions", "functions", 1000, "functions", "delete functions"},
	Versions:  {"versions", "versions", 10_000, "versions of all functions", "delete versions"},
	CodeBytes: {"codeBytes", "bytes", 10 << 30, "archives of all versions, each counted", "delete versions"},
	ImageBytes: {"imageBytes", "bytes", 4 << 30,
		"images of versions on disk; those that were needed longest ago go first, and are made anew when they are needed", "wait until instances are free"},
	Instances: {"instances", "instances", 1000, "instances at once, those that are being made included", "wait until instances are free"},
	Memory: {"memory", "bytes", 0,
		"memory that instances, images, unpacked code and the bodies of calls take", "wait until instances are free"},
	Calls:       {"calls", "calls", 1000, "calls in progress or waiting for an instance", "call again later"},
	Timers:      {"timers", "timers", 100, "timers of all functions", "delete timers"},
	AsyncCalls:  {"asyncCalls", "calls", 10_000, "queued calls", "wait until queued calls are made"},
	AsyncBytes:  {"asyncBytes", "bytes", 256 << 20, "bodies of queued calls", "wait until queued calls are made"},
	LogBytes:    {"logBytes", "bytes", 256 << 20, "log entries in the store; the oldest go first", ""},
	LogStreams:  {"logStreams", "readers", 100, "readers that follow a log", "end other readers"},
	Connections: {"connections", "connections", 1000, "connections that instances have to elsewhere", "close connections"},
}

// String returns the quota's name, such as codeBytes.
func (q Quota) String() string { return table[q].name }

// Unit returns what the quota counts, such as bytes.
func (q Quota) Unit() string { return table[q].unit }

// Bounds returns what the quota bounds, for people.
func (q Quota) Bounds() string { return table[q].bounds }

// Flag returns the quota's name as flags have it, such as code-bytes.
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

// Of returns the quota of that name.
func Of(name string) (q Quota, ok bool) {
	for q := range Count {
		if table[q].name == name {
			return q, true
		}
	}
	return -1, false
}

// Kind is a kind of thing that is held. Each counts against one quota; several
// may count against the same.
type Kind int

// What is held. Memory and files are counted in bytes, everything else in pieces.
const (
	// Call is a call in progress or waiting.
	Call Kind = iota
	// LogStream is a reader that follows a log.
	LogStream
	// Instance is a live instance or one that is being made.
	Instance
	// InstanceMemory is what every instance costs: what the host keeps for it,
	// and the first pages that it writes to.
	InstanceMemory
	// OwnMemory is what an instance takes beyond that: linear memory that its image
	// does not have, pages of the image that it has written to, machine stack,
	// files in /tmp; and, once for all instances of an image, the pages that they
	// have in common.
	OwnMemory
	// CodeTree is code of a version, unpacked.
	CodeTree
	// Body is what a caller sent or is to get.
	Body
	// LogBuffer is log text that is not yet stored or sent.
	LogBuffer
	// ImageFile is the image of a version on disk.
	ImageFile
	// Connection is a connection that an instance has to elsewhere.
	Connection
	kinds // is no kind: how many there are
)

// kindQuotas says what each kind counts against.
var kindQuotas = [kinds]Quota{
	Call: Calls, LogStream: LogStreams, Instance: Instances,
	InstanceMemory: Memory, OwnMemory: Memory, CodeTree: Memory,
	Body: Memory, LogBuffer: Memory, ImageFile: ImageBytes, Connection: Connections,
}

// Quota returns the quota that the kind counts against.
func (k Kind) Quota() Quota { return kindQuotas[k] }

// Amounts are a number for each Quota, as in Amounts{Functions: 10}. Of a limit,
// 0 means the default and a negative number no limit.
type Amounts [Count]int64

// Defaults are the limits that a tenant has unless it is said otherwise. One
// tenant can't keep the others from a machine with them; who is alone on it
// hardly notices them. Memory has none: it depends on the machine.
func Defaults() (a Amounts) {
	for q := range Count {
		a[q] = table[q].standard
	}
	return a
}

// MarshalJSON writes an object by the quotas' names, without zeros.
func (a Amounts) MarshalJSON() ([]byte, error) {
	named := map[string]int64{}
	for q, n := range a {
		if n != 0 {
			named[Quota(q).String()] = n
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON wrote. Names that are unknown are left
// out: another version of the program may have more.
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
