package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long deletions are remembered, for watchers.
const markerTTL = time.Hour

// jetBucket is a Bucket.
type jetBucket struct {
	name   string
	names  names
	kv     jetstream.KeyValue
	stream jetstream.Stream
	js     jetstream.JetStream
	leader leader
	log    *slog.Logger
	link   *link
	marks  *marks // nil: not recorded

	progress progress
	urgent   bool // deletions must be known to all within two seconds, whatever fails

	// alone means that nobody else writes to the bucket, so its contents are
	// known.
	alone     bool
	markerTTL time.Duration
	write     sync.Mutex // held during a change if alone; may block on the store

	mu         sync.Mutex        // guards the members below; nothing blocks under it
	keys       map[string]uint64 // existing keys with their revisions; nil if unknown
	unreadable map[string]bool   // keys whose records the server can't read, when all was read last
	damage     error
}

func (b *jetBucket) Damage() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.damage
}

func (b *jetBucket) damaged(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.damage == nil {
		e := &DamageError{Bucket: b.name, Reason: fmt.Sprintf(format, args...)}
		if b.marks != nil {
			e.Marks = b.marks.path
		}
		b.damage = e
	}
}

// readable returns an error if the server can't read the record of a key. It would
// say that there is none; and it would store a new one, but fail to remove the old
// one, never answer, and at its next start drop the new one.
func (b *jetBucket) readable(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.unreadable[key] {
		return nil
	}
	return unavailable(b.name, &DamageError{Bucket: b.name, Reason: "the record of " + key + " is unreadable"})
}

func (b *jetBucket) setUnreadable(keys map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unreadable = keys
}

// state returns the bucket's last revision and its number of records, including
// those of deleted keys.
func (b *jetBucket) state(ctx context.Context) (last, records uint64, err error) {
	info, err := b.link.info(ctx, b.stream)
	if err != nil {
		return 0, 0, err
	}
	return info.State.LastSeq, info.State.Msgs, nil
}

// judge compares what was read of a bucket at some revision with what should be
// there: all records, and as many as its mark says.
func (b *jetBucket) judge(ctx context.Context, revision, read uint64, keys map[string]uint64) {
	if b.alone {
		b.write.Lock()
		defer b.write.Unlock()
	}
	last, records, err := b.state(ctx)
	if err != nil || last != revision {
		return // changed concurrently
	}
	if read < records { // more: markers of deleted keys have expired meanwhile
		b.damaged("%d of %d records are unreadable", records-read, records)
	}
	b.mu.Lock()
	first := b.keys == nil
	if b.alone {
		b.keys = keys
	}
	b.mu.Unlock()
	if b.marks == nil || !first {
		return
	}
	k, ok, _ := b.marks.get(b.name)
	if now := markOf(last, keys); b.alone && ok && k.Revision == last && k.Keys >= 0 && k != now {
		b.damaged("only %d of %d records are unchanged", now.Keys, k.Keys)
	}
	b.note(last)
}

// note records how far the bucket has come. What was lost stays on record.
func (b *jetBucket) note(revision uint64) {
	if b.marks == nil || b.Damage() != nil {
		return
	}
	b.mu.Lock()
	k := mark{Revision: revision, Keys: -1}
	if b.keys != nil {
		k = markOf(revision, b.keys)
	}
	b.mu.Unlock()
	// Two changes may come here in either order; the mark never goes back.
	if old, ok, _ := b.marks.get(b.name); !ok || revision >= old.Revision {
		b.marks.set(b.name, k)
	}
}

// change changes a key, after which it exists or not, and records the change.
func (b *jetBucket) change(ctx context.Context, key string, there bool, make func(context.Context) (uint64, error)) (uint64, error) {
	if err := b.readable(key); err != nil {
		return 0, err
	}
	if b.alone {
		b.write.Lock()
		defer b.write.Unlock()
	}
	revision, err := make(ctx)
	// Only this error proves that nothing has changed. After others, what the bucket has
	// is unknown until all of it is read again.
	if err = b.fault(err); errors.Is(err, ErrRevision) {
		return revision, err
	}
	b.mu.Lock()
	switch {
	case b.keys == nil:
	case err != nil: // the change may have happened
		b.keys = nil
	case there:
		b.keys[key] = revision
	default:
		delete(b.keys, key)
	}
	b.mu.Unlock()
	if err == nil {
		b.note(revision)
		b.progress.made(revision)
		b.tell(revision, key, !there)
	}
	return revision, err
}

// openBucket opens a bucket, creating it if it is missing. The marks, if any,
// tell whether it should have existed.
func (j *jet) openBucket(ctx context.Context, name string, cfg Config, marks *marks) (*jetBucket, error) {
	opening, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	copies, err := j.replicas(opening, cfg, j.names.bucketStream(name))
	if err != nil {
		return nil, err
	}
	kv, err := j.js.CreateOrUpdateKeyValue(opening, jetstream.KeyValueConfig{
		Bucket: j.names.stream(name), Replicas: copies, Storage: jetstream.FileStorage, LimitMarkerTTL: cfg.markerTTL,
	})
	if err != nil {
		return nil, unavailable(name, err)
	}
	b := &jetBucket{
		name: name, names: j.names, kv: kv, js: j.js, leader: leader{j.conn, j.link, j.names.bucketStream(name)}, log: cfg.Log,
		link: j.link, marks: marks, alone: j.exclusive && marks != nil, markerTTL: cfg.markerTTL,
	}
	if b.stream, err = j.js.Stream(opening, j.names.bucketStream(name)); err != nil {
		return nil, unavailable(name, err)
	}
	if marks == nil {
		return b, nil
	}
	k, ok, wrong := marks.get(name)
	last := b.stream.CachedInfo().State.LastSeq
	switch {
	case wrong != nil:
		b.damaged("%v", wrong)
	case ok && last < k.Revision:
		b.damaged("the last change is number %d; it was %d", last, k.Revision)
	}
	if !b.alone {
		return b, nil
	}
	_, err = b.All(ctx) // learns the bucket's contents
	return b, err
}

func (b *jetBucket) Get(ctx context.Context, key string) (Entry, error) {
	if err := b.readable(key); err != nil {
		return Entry{}, err
	}
	if !validKey.MatchString(key) {
		return Entry{}, b.fault(jetstream.ErrInvalidKey)
	}
	m, err := b.leader.last(ctx, b.subject(key))
	if err != nil {
		return Entry{}, b.fault(err)
	}
	e := b.entry(m)
	if e.Deleted {
		return Entry{}, ErrNotFound
	}
	return e, nil
}

func (b *jetBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return b.change(ctx, key, true, func(ctx context.Context) (uint64, error) {
		revision, err := b.put(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(0))
		if !errors.Is(b.fault(err), ErrRevision) {
			return revision, err
		}
		last, e := b.leader.last(ctx, b.subject(key))
		if e != nil || !b.entry(last).Deleted {
			return revision, err
		}
		return b.put(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(last.Sequence))
	})
}

func (b *jetBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 { // the server would create the key
		return 0, ErrRevision
	}
	return b.change(ctx, key, true, func(ctx context.Context) (uint64, error) {
		return b.put(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(revision))
	})
}

func (b *jetBucket) Put(ctx context.Context, key string, value []byte) error {
	_, err := b.change(ctx, key, true, func(ctx context.Context) (uint64, error) { return b.put(ctx, key, value) })
	return err
}

func (b *jetBucket) Delete(ctx context.Context, key string) error { return b.purge(ctx, key) }

func (b *jetBucket) DeleteRevision(ctx context.Context, key string, revision uint64) error {
	if revision == 0 { // no value's, but that of a key which never had one
		return ErrRevision
	}
	return b.purge(ctx, key, jetstream.WithExpectLastSequencePerSubject(revision))
}

// headerOperation tells of a message that it deletes the key. The client's own methods for
// changes would take their second attempt for somebody else's change: what they publish has
// no id.
const headerOperation = "KV-Operation"

func (b *jetBucket) subject(key string) string { return b.names.records(b.name) + key }

// put publishes a value, and returns its revision.
func (b *jetBucket) put(ctx context.Context, key string, value []byte, options ...jetstream.PublishOpt) (uint64, error) {
	m := nats.NewMsg(b.subject(key))
	m.Data = value
	return b.publish(ctx, key, m, options...)
}

func (b *jetBucket) publish(ctx context.Context, key string, m *nats.Msg, options ...jetstream.PublishOpt) (uint64, error) {
	if !validKey.MatchString(key) {
		return 0, jetstream.ErrInvalidKey
	}
	ack, again, err := b.link.publish(ctx, b.js, m, options...)
	if again && errors.Is(b.fault(err), ErrRevision) {
		if last, e := b.leader.last(ctx, m.Subject); e == nil && last.Header.Get(nats.MsgIdHdr) == m.Header.Get(nats.MsgIdHdr) {
			return last.Sequence, nil // an earlier attempt is what it conflicts with
		}
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// validKey matches keys that a bucket can have.
var validKey = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

// purge removes a key with its earlier values.
func (b *jetBucket) purge(ctx context.Context, key string, options ...jetstream.PublishOpt) error {
	m := nats.NewMsg(b.subject(key))
	m.Header.Set(headerOperation, "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	_, err := b.change(ctx, key, false, func(ctx context.Context) (uint64, error) {
		return b.publish(ctx, key, m, append(options, jetstream.WithMsgTTL(b.markerTTL))...)
	})
	return err
}

// entry returns what a message tells of a key.
func (b *jetBucket) entry(m *jetstream.RawStreamMsg) Entry {
	return Entry{
		Key: strings.TrimPrefix(m.Subject, b.subject("")), Value: m.Data, Revision: m.Sequence, Created: m.Time,
		Deleted: m.Header.Get(headerOperation) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "",
	}
}

func entry(e jetstream.KeyValueEntry) Entry {
	return Entry{
		Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Created: e.Created(),
		Deleted: e.Operation() != jetstream.KeyValuePut,
	}
}

// wrongLastSequence are the error codes for a value that has changed.
var wrongLastSequence = []jetstream.ErrorCode{jetstream.JSErrCodeStreamWrongLastSequence, 10164}

func (b *jetBucket) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return ErrNotFound
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(wrongLastSequence, api.ErrorCode) {
		return ErrRevision
	}
	return unavailable(b.name, err)
}
