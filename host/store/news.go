package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// newsTime is how long after processes have told each other of a change it may take to come.
const newsTime = 200 * time.Millisecond

// newsAgain is when a deletion is told again. Who is connected to a server that has just
// stopped hears nothing, until it notices and connects to another one.
var newsAgain = []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond}

// shareNews begins to hear what other processes tell of changes of buckets, until the
// connection is closed.
func (j *jet) shareNews(buckets []*jetBucket) error {
	named := map[string]*jetBucket{}
	for _, b := range buckets {
		named[b.name] = b
	}
	_, err := j.conn.Subscribe(j.names.news(), func(m *nats.Msg) {
		if parts := strings.Fields(string(m.Data)); len(parts) >= 2 && named[parts[0]] != nil {
			revision, _ := strconv.ParseUint(parts[1], 10, 64) // 0 is nothing new
			named[parts[0]].hear(revision, parts[2:])
		}
	})
	if err != nil {
		return unavailable("news", err)
	}
	return nil
}

// hear takes over that somebody has made a change, which is the deletion of a key if one is
// given.
func (b *jetBucket) hear(revision uint64, deleted []string) {
	for _, key := range deleted {
		for _, f := range b.progress.followers(revision) {
			f.early(key, revision)
		}
	}
	b.progress.expect(revision)
}

// tell tells other processes of a change, whose own news may be slow to come: it is passed on
// by whichever server each has its consumer at. Of keys to the service it also says which one
// was deleted, which is then known even if nobody can be asked.
func (b *jetBucket) tell(revision uint64, key string, deleted bool) {
	if !b.link.shared() {
		return
	}
	text := b.name + " " + strconv.FormatUint(revision, 10)
	say := func() { _ = b.leader.conn.Publish(b.names.news(), []byte(text)) } // who does not hear it learns of it later
	if deleted && b.urgent {
		text += " " + key
		for _, wait := range newsAgain {
			time.AfterFunc(wait, say)
		}
	}
	say()
}
