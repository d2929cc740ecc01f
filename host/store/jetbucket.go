package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	kv     jetstream.KeyValue
	stream jetstream.Stream
	js     jetstream.JetStream
	link   *link
	marks  *marks // nil: not recorded

	progress progress

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
	}
	return revision, err
}

// openBucket opens a bucket, creating it if it is missing. The marks, if any,
// tell whether it should have existed.
func (j *jet) openBucket(ctx context.Context, name string, cfg Config, marks *marks) (*jetBucket, error) {
	opening, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	copies, err := j.replicas(opening, cfg, "KV_"+prefix+name)
	if err != nil {
		return nil, err
	}
	kv, err := j.js.CreateOrUpdateKeyValue(opening, jetstream.KeyValueConfig{
		Bucket: prefix + name, Replicas: copies, Storage: jetstream.FileStorage, LimitMarkerTTL: cfg.markerTTL,
	})
	if err != nil {
		return nil, unavailable(name, err)
	}
	b := &jetBucket{name: name, kv: kv, js: j.js, link: j.link, marks: marks, alone: j.exclusive && marks != nil, markerTTL: cfg.markerTTL}
	if b.stream, err = j.js.Stream(opening, "KV_"+prefix+name); err != nil {
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
	var e jetstream.KeyValueEntry
	err := b.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		e, err = b.kv.Get(ctx, key)
		return err
	})
	if err != nil {
		return Entry{}, b.fault(err)
	}
	return entry(e), nil
}

func (b *jetBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return b.change(ctx, key, true, func(ctx context.Context) (uint64, error) {
		revision, err := b.put(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(0))
		if !errors.Is(b.fault(err), ErrRevision) {
			return revision, err
		}
		last := b.last(ctx, key)
		if last == nil || last.Header.Get(headerOperation) == "" && last.Header.Get(jetstream.MarkerReasonHeader) == "" {
			return revision, err
		}
		return b.put(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(last.Sequence)) // it was deleted
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

func (b *jetBucket) subject(key string) string { return "$KV." + prefix + b.name + "." + key }

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
		if last := b.last(ctx, key); last != nil && last.Header.Get(nats.MsgIdHdr) == m.Header.Get(nats.MsgIdHdr) {
			return last.Sequence, nil // an earlier attempt is what it conflicts with
		}
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// last returns the last message about a key, or nil if nothing is known of one.
func (b *jetBucket) last(ctx context.Context, key string) (m *jetstream.RawStreamMsg) {
	_ = b.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		m, err = b.stream.GetLastMsgForSubject(ctx, b.subject(key))
		return err
	})
	return m
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

func (b *jetBucket) Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error) {
	return b.watch(ctx, &follower{bucket: b, each: each, keys: map[string]uint64{}, counts: true}, present)
}

func (b *jetBucket) watch(ctx context.Context, f *follower, present func()) (stop func(), err error) {
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	b.judge(ctx, f.before, f.read, maps.Clone(f.keys))
	present()
	watching, cancel := context.WithCancel(b.link.using)
	var following sync.WaitGroup
	following.Go(func() { f.follow(watching) })
	return sync.OnceFunc(func() {
		cancel()
		following.Wait()
		b.progress.left(f)
	}), nil
}

// follower passes the records of a bucket on, and their changes.
type follower struct {
	bucket  *jetBucket
	each    func(Entry)
	changes <-chan jetstream.KeyValueEntry // nil if there is no news
	hush    func()                         // ends the news; nil if there is none

	keys   map[string]uint64 // existing keys with their revisions, as passed on
	counts bool              // the bucket's progress is that of this follower, too

	// Of the last time that all was read.
	before uint64          // the bucket's revision when that began
	read   uint64          // records, including those of deleted keys
	seen   map[string]bool // existing keys
	whole  bool            // the server sent all of them
}

// begin passes on what the bucket has that is not known, and starts to listen for
// changes, until end.
func (f *follower) begin(ctx context.Context) (err error) {
	b := f.bucket
	f.end()
	defer func() {
		if err != nil {
			f.end()
		}
	}()
	f.read, f.seen, f.whole = 0, map[string]bool{}, true
	if f.before, _, err = b.state(ctx); err != nil {
		return b.fault(err)
	}
	if err := f.listen(); err != nil {
		return err
	}
	timeout := time.NewTimer(watchPatience)
	defer timeout.Stop()
	for {
		select {
		case e, ok := <-f.changes:
			switch {
			case !ok:
				return unavailable(b.name, errors.New("the news has ended"))
			case e == nil:
				b.setUnreadable(nil)
				f.passed(f.before)
				return nil
			}
			timeout.Reset(watchPatience)
			f.apply(entry(e))
		case <-ctx.Done():
			return b.fault(ctx.Err())
		case <-timeout.C:
			// The server silently stops before a record that it can't read.
			f.end()
			if err := f.listen(jetstream.UpdatesOnly()); err != nil {
				return err
			}
			f.read, f.seen, f.whole = 0, map[string]bool{}, false
			if err := b.readEach(ctx, f.apply); err != nil {
				return err
			}
			f.passed(f.before)
			return nil
		}
	}
}

// passed notes that everything up to a revision has been passed on.
func (f *follower) passed(revision uint64) {
	if f.counts {
		f.bucket.progress.passed(f, revision)
	}
}

// listen starts to listen for changes.
func (f *follower) listen(options ...jetstream.WatchOpt) error {
	// The client keeps a goroutine until this context ends, even after Stop.
	listening, cancel := context.WithCancel(f.bucket.link.using)
	w, err := f.bucket.kv.WatchAll(listening, options...)
	if err != nil {
		cancel()
		return f.bucket.fault(err)
	}
	f.changes = w.Updates()
	f.hush = func() {
		_ = w.Stop() // the connection may be gone
		cancel()
	}
	return nil
}

// end stops listening.
func (f *follower) end() {
	if f.hush != nil {
		f.hush()
		f.changes, f.hush = nil, nil
	}
}

// apply passes on a record unless it is known.
func (f *follower) apply(e Entry) {
	f.read++
	if e.Deleted {
		delete(f.keys, e.Key)
		delete(f.seen, e.Key)
		f.each(e)
		return
	}
	f.seen[e.Key] = true
	if f.keys[e.Key] != e.Revision {
		f.keys[e.Key] = e.Revision
		f.each(e)
	}
}

// follow passes on changes until watching ends. After the connection was lost the
// bucket is compared with what is known: the server does not remember for ever what
// was deleted meanwhile.
func (f *follower) follow(watching context.Context) {
	defer f.end()
	reconnected := f.bucket.link.reconnected()
	var again <-chan time.Time
	for {
		select {
		case e, ok := <-f.changes:
			if !ok { // the client has given up
				f.changes, again = nil, time.After(compareInterval)
			} else if e != nil {
				f.apply(entry(e))
				f.passed(e.Revision())
			}
		case <-reconnected:
			reconnected, again = f.bucket.link.reconnected(), time.After(0)
		case <-again:
			if again = nil; !f.compare(watching) {
				again = time.After(compareInterval)
			}
		case <-watching.Done():
			return
		}
	}
}

// compareInterval is how long after a comparison that failed the next one is made.
const compareInterval = time.Second

// compare reads the bucket again and passes on the differences. It reports whether it
// has read all of it: what could not be read is not taken for deleted.
func (f *follower) compare(watching context.Context) bool {
	ctx, cancel := context.WithTimeout(watching, time.Minute)
	defer cancel()
	if f.begin(ctx) != nil {
		return false
	}
	last, records, err := f.bucket.state(ctx)
	if err != nil || last != f.before || !f.whole || f.read < records {
		return false
	}
	for key := range f.keys {
		if !f.seen[key] {
			f.apply(Entry{Key: key, Revision: last, Deleted: true})
		}
	}
	return true
}

// watchPatience is how long to wait for the server's next record before reading
// them one by one.
const watchPatience = 2 * time.Second

// readEach reads record by record, in no particular order, and skips those that
// can't be read.
func (b *jetBucket) readEach(ctx context.Context, each func(Entry)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const subject = "$KV." + prefix
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return b.fault(err)
	}
	unreadable := map[string]bool{}
	for name := range info.State.Subjects {
		key := strings.TrimPrefix(name, subject+b.name+".")
		e, err := b.kv.Get(ctx, key)
		switch {
		case err == nil:
			each(entry(e))
		case errors.Is(err, jetstream.ErrKeyDeleted):
			each(Entry{Key: key, Deleted: true})
		case ctx.Err() != nil:
			return b.fault(ctx.Err())
		default:
			b.damaged("the record of %s is unreadable", key)
			unreadable[key] = errors.Is(err, jetstream.ErrKeyNotFound)
		}
	}
	b.setUnreadable(unreadable)
	return nil
}

func (b *jetBucket) All(ctx context.Context) ([]Entry, error) {
	var all []Entry
	complete, known := false, map[string]bool{}
	f := &follower{bucket: b, keys: map[string]uint64{}, each: func(e Entry) {
		if !complete && !e.Deleted && !known[e.Key] { // one may come twice
			all, known[e.Key] = append(all, e), true
		}
	}}
	stop, err := b.watch(ctx, f, func() { complete = true })
	if err != nil {
		return nil, err
	}
	stop()
	return all, nil
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
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrRevision
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(wrongLastSequence, api.ErrorCode) {
		return ErrRevision
	}
	return unavailable(b.name, err)
}
