package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func (b *jetBucket) Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error) {
	return b.watch(ctx, newFollower(b, each), present)
}

func (b *jetBucket) watch(ctx context.Context, f *follower, present func()) (stop func(), err error) {
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	b.judge(ctx, f.before, uint64(f.read), maps.Clone(f.keys))
	present()
	if f.counts {
		b.progress.join(f, f.at)
	}
	watching, cancel := context.WithCancel(b.link.using)
	var following sync.WaitGroup
	following.Go(func() { f.follow(watching) })
	following.Go(func() { f.keepUp(watching) })
	return sync.OnceFunc(func() {
		b.progress.leave(f)
		f.leave()
		cancel()
		following.Wait()
	}), nil
}

func (b *jetBucket) All(ctx context.Context) ([]Entry, error) {
	var all []Entry
	complete, known := false, map[string]bool{}
	f := newFollower(b, func(e Entry) {
		if !complete && !e.Deleted && !known[e.Key] { // one may come twice
			all, known[e.Key] = append(all, e), true
		}
	})
	f.counts = false
	stop, err := b.watch(ctx, f, func() { complete = true })
	if err != nil {
		return nil, err
	}
	stop()
	return all, nil
}

// follower passes the records of a bucket on, and their changes. It has them of a consumer,
// which is at one of the servers: when that one stands still, or lags behind, nobody says so for
// a long while. So who hears of a change that has not come asks the leader for it, see keepUp.
type follower struct {
	bucket *jetBucket
	each   func(Entry)
	counts bool          // the bucket's progress is that of this follower, too
	wake   chan struct{} // of capacity 1: there may be changes that have not come

	// The members below are the goroutine's that follows.
	changes <-chan jetstream.KeyValueEntry // nil if there is no news
	hush    func()                         // ends the news; nil if there is none
	created time.Time                      // when the servers made the bucket that is known
	before  uint64                         // the bucket's revision when all was begun to be read last
	whole   bool                           // the server sent all of it then
	less    bool                           // the bucket had less than is known, the last time

	mu   sync.Mutex        // guards the members below; held while each runs
	left bool              // nothing is passed on any more
	at   uint64            // everything up to this revision has been passed on
	keys map[string]uint64 // existing keys with their revisions, as passed on
	gone map[string]uint64 // keys whose deletion was passed on before its turn, with its revision
	read int               // records that were read when all was, including those of deleted keys
	seen map[string]bool   // existing keys among them
}

func newFollower(b *jetBucket, each func(Entry)) *follower {
	return &follower{
		bucket: b, each: each, counts: true, wake: make(chan struct{}, 1), keys: map[string]uint64{}, gone: map[string]uint64{},
	}
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
	if err := f.start(ctx); err != nil {
		return err
	}
	if err := f.listen(); err != nil {
		return err
	}
	timeout := time.NewTimer(watchPatience)
	defer timeout.Stop()
	for last := uint64(0); ; {
		select {
		case e, ok := <-f.changes:
			switch {
			case !ok:
				return unavailable(b.name, errors.New("the news has ended"))
			case e == nil:
				b.setUnreadable(nil)
				return f.complete(ctx, last)
			}
			timeout.Reset(watchPatience)
			last = e.Revision()
			f.apply(entry(e))
		case <-ctx.Done():
			return b.fault(ctx.Err())
		case <-timeout.C:
			// The server silently stops before a record that it can't read.
			f.end()
			if err := f.listen(jetstream.UpdatesOnly()); err != nil {
				return err
			}
			f.forget()
			f.whole = false
			if err := f.readEach(ctx); err != nil {
				return err
			}
			f.passed(f.before)
			return nil
		}
	}
}

// start notes what the bucket is like before all of it is read.
func (f *follower) start(ctx context.Context) (err error) {
	b := f.bucket
	f.mu.Lock()
	known := f.at
	f.mu.Unlock()
	info, err := b.link.info(ctx, b.stream)
	if err != nil {
		return b.fault(err)
	}
	f.before = info.State.LastSeq
	f.forget()
	f.whole = true
	another := known > 0 && !info.Created.Equal(f.created)
	if f.less = !another && f.before < known && !f.less; f.less { // a leader that others have just replaced may say so
		return unavailable(b.name, errors.New("the servers have less than they had"))
	}
	f.created = info.Created
	if another || f.before < known {
		b.damaged("the servers lost them while this one ran; the last change is number %d, it was %d", f.before, known)
		b.log.Error("store: records are lost", "error", b.Damage())
		f.mu.Lock()
		defer f.mu.Unlock()
		f.at = 0
		for key := range f.keys {
			f.keys[key] = 0 // whatever there is counts
		}
	}
	return nil
}

// forget forgets what was read of all.
func (f *follower) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read, f.seen = 0, map[string]bool{}
}

// complete passes on what a server that lags has not sent, when it has sent all it had. last
// is its last record.
func (f *follower) complete(ctx context.Context, last uint64) error {
	to := max(f.before, last)
	if f.bucket.link.shared() {
		err := f.fetch(ctx, last+1, func(e Entry) {
			f.apply(e)
			to = max(to, e.Revision)
		})
		if err != nil {
			return err
		}
	}
	f.passed(to)
	return nil
}

// fetch reads all changes from a revision on that the leader has.
func (f *follower) fetch(ctx context.Context, from uint64, each func(Entry)) error {
	b := f.bucket
	for {
		m, err := b.leader.next(ctx, ">", from)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return b.fault(err)
		}
		from = m.Sequence + 1
		each(b.entry(m))
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

// passed notes that everything up to a revision has been passed on.
func (f *follower) passed(revision uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reach(revision)
}

// reach is passed for who holds mu.
func (f *follower) reach(revision uint64) {
	f.at = max(f.at, revision)
	if f.counts {
		f.bucket.progress.passed(f, f.at)
	}
}

// leave has nothing passed on any more.
func (f *follower) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
}

// apply passes on a record of all that were read, unless it is known, or out of date: a
// server that lags sends what was there.
func (f *follower) apply(e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read++
	f.put(e)
}

// take passes on the next change, unless it has been.
func (f *follower) take(e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Revision > f.at {
		f.put(e)
		f.reach(e.Revision)
	}
}

// put passes on what is news. The caller holds mu.
func (f *follower) put(e Entry) {
	known, gone := f.keys[e.Key], f.gone[e.Key]
	deletedSince := known == 0 && e.Revision <= f.at && !e.Deleted
	switch {
	case f.left || deletedSince || e.Revision < gone:
	case e.Revision < known, e.Revision == known && !e.Deleted:
		f.seen[e.Key] = true
	case e.Deleted:
		delete(f.keys, e.Key)
		delete(f.seen, e.Key)
		delete(f.gone, e.Key)
		f.each(e)
	default:
		f.seen[e.Key] = true
		f.keys[e.Key] = e.Revision
		delete(f.gone, e.Key)
		f.each(e)
	}
}

// early passes on before its turn that a key was deleted.
func (f *follower) early(key string, revision uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left || revision <= max(f.at, f.keys[key], f.gone[key]) {
		return
	}
	delete(f.keys, key)
	delete(f.seen, key)
	f.gone[key] = revision
	f.each(Entry{Key: key, Revision: revision, Deleted: true})
}

// look has the follower ask whether there are changes that have not come.
func (f *follower) look() {
	select {
	case f.wake <- struct{}{}:
	default: // it is about to
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
				f.take(entry(e))
			}
		case <-reconnected:
			f.look() // which is done sooner
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

// keepUp asks the leader for changes that have not come, whenever there may be some, until
// watching ends.
func (f *follower) keepUp(watching context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-f.wake:
		case <-again:
		case <-watching.Done():
			return
		}
		again = nil
		if err := f.catchUp(watching); err != nil && watching.Err() == nil {
			f.bucket.log.Warn("store: changes are late, and the servers don't tell them", "bucket", f.bucket.name, "error", err)
			again = time.After(retryLate)
		}
	}
}

// catchUp asks the leader for all changes that have not come.
func (f *follower) catchUp(ctx context.Context) error {
	f.mu.Lock()
	at := f.at
	f.mu.Unlock()
	asked, missed := time.Now(), 0
	err := f.fetch(ctx, at+1, func(e Entry) {
		missed++
		f.take(e)
	})
	if missed > 0 {
		f.bucket.log.Info("store: changes had not come and were asked for", "bucket", f.bucket.name, "changes", missed,
			"took", time.Since(asked).Round(time.Millisecond))
	}
	return err
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
	if err != nil || last != f.before || !f.whole {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read < int(records) {
		return false
	}
	for _, key := range slices.Collect(maps.Keys(f.keys)) {
		if !f.seen[key] {
			f.put(Entry{Key: key, Revision: last, Deleted: true})
		}
	}
	maps.DeleteFunc(f.gone, func(_ string, revision uint64) bool { return revision <= last })
	return true
}

// watchPatience is how long to wait for the server's next record before reading
// them one by one.
const watchPatience = 2 * time.Second

// readEach reads record by record, in no particular order, and skips those that
// can't be read.
func (f *follower) readEach(ctx context.Context) error {
	b := f.bucket
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return b.fault(err)
	}
	unreadable := map[string]bool{}
	for subject := range info.State.Subjects {
		m, err := b.leader.last(ctx, subject)
		switch {
		case err == nil:
			f.apply(b.entry(m))
		case ctx.Err() != nil:
			return b.fault(ctx.Err())
		default:
			key := strings.TrimPrefix(subject, b.subject(""))
			b.damaged("the record of %s is unreadable", key)
			unreadable[key] = errors.Is(err, jetstream.ErrMsgNotFound)
		}
	}
	b.setUnreadable(unreadable)
	return nil
}
