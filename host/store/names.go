package store

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix begins the names of all that a store has in NATS servers.
const DefaultPrefix = "vivarium"

// names are those of a store's streams, buckets and subjects. All begin with its prefix, so that
// several stores can be in one account of the same servers.
type names string

// validPrefix matches prefixes. No "_" is in them, since it ends them in names of streams: of
// two prefixes neither begins what the other names.
var validPrefix = regexp.MustCompile(`^[-a-zA-Z0-9]{1,32}$`)

// newNames returns the names of a store with a prefix.
func newNames(prefix string) (names, error) {
	prefix = cmp.Or(prefix, DefaultPrefix)
	if !validPrefix.MatchString(prefix) {
		return "", fmt.Errorf("store: prefix %.100q: it may have letters, digits and hyphens, 32 at most", prefix)
	}
	return names(prefix), nil
}

// stream returns the name of a stream, or of a bucket.
func (n names) stream(of string) string { return string(n) + "_" + of }

// bucketStream returns the name of the stream that has a bucket's records.
func (n names) bucketStream(of string) string { return "KV_" + n.stream(of) }

// records returns what begins the subjects of a bucket's records.
func (n names) records(of string) string { return "$KV." + n.stream(of) + "." }

// codeStream returns the name of the stream that has the archives.
func (n names) codeStream() string { return "OBJ_" + n.stream("code") }

// code returns what begins the subjects of archives and their chunks.
func (n names) code() string { return "$O." + n.stream("code") + "." }

// about returns a subject.
func (n names) about(what string) string { return string(n) + "." + what }

// of returns what begins the subjects of a stream.
func (n names) of(stream string) string { return n.about(stream) + "." }

// Subjects, and what begins those of streams with several.
func (n names) queue() string      { return n.of("queue") }
func (n names) dead() string       { return n.of("dead") }
func (n names) operations() string { return n.of("operations") }
func (n names) news() string       { return n.about("news") } // where processes tell of changes that they have made
func (n names) notices() string    { return n.about("notices") }

// has reports whether a stream of that name is one of the store's.
func (n names) has(stream string) bool {
	return strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(stream, "KV_"), "OBJ_"), n.stream(""))
}
