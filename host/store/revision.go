package store

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"vivarium/host/fault"
)

// BehindError means that this process has not yet heard of a change that somebody else knows.
type BehindError struct{ Bucket string }

func (e *BehindError) Error() string {
	return "store: a change of the " + e.Bucket + " that the request builds on is not known here yet"
}

// Kind returns fault.Unavailable.
func (e *BehindError) Kind() fault.Kind { return fault.Unavailable }

// revisionVersion begins the text of a revision.
const revisionVersion = "1"

// Revision tells, as text for Await, which changes this process knows: its own, and those of
// others that whoever watches the buckets has been passed. It is empty for a store that
// nobody else uses.
func (s *Store) Revision() string {
	return s.revision(func(*jetBucket) bool { return true })
}

// FunctionsRevision is Revision of what calls depend on, functions and their versions.
func (s *Store) FunctionsRevision() string {
	return s.revision(func(b *jetBucket) bool { return Bucket(b) == s.Functions })
}

func (s *Store) revision(tells func(*jetBucket) bool) string {
	if s.Exclusive {
		return ""
	}
	b := append([]byte(revisionVersion+"-"), s.epoch...)
	for _, of := range s.watched() {
		known := uint64(0)
		if tells(of) {
			known = of.progress.known()
		}
		b = strconv.AppendUint(append(b, '-'), known, 36)
	}
	return string(b)
}

// watched returns the buckets that a revision tells of, in the order in which it does.
func (s *Store) watched() []*jetBucket {
	all := make([]*jetBucket, 0, 5)
	for _, b := range []Bucket{s.Functions, s.Timers, s.Keys, s.Quotas, s.Secrets} {
		if b, ok := b.(*jetBucket); ok {
			all = append(all, b)
		}
	}
	return all
}

// Await waits until those who watch the buckets have been passed all changes of a revision,
// or until ctx ends. A revision of another store, such as one that was there before a
// backup was restored, tells nothing.
//
// # Errors
//
// *BehindError when ctx ends first, *fault.InvalidError.
func (s *Store) Await(ctx context.Context, revision string) error {
	buckets := s.watched()
	if s.Exclusive || revision == "" {
		return nil
	}
	parts := strings.Split(revision, "-")
	if parts[0] != revisionVersion || len(parts) != 2+len(buckets) {
		return fault.Invalidf("revision", "%.100q is not one that a server has answered with", revision)
	}
	if parts[1] != s.epoch {
		return nil
	}
	for i, b := range buckets {
		needed, err := strconv.ParseUint(parts[2+i], 36, 64)
		if err != nil {
			return fault.Invalidf("revision", "%.100q is not one that a server has answered with", revision)
		}
		if !b.progress.await(ctx, needed) {
			return &BehindError{Bucket: b.name}
		}
	}
	return nil
}

// progress is how far a bucket is known in this process. Safe for concurrent use.
type progress struct {
	mu      sync.Mutex // guards all below
	changed uint64     // the last change that this process has made
	seen    map[*follower]uint64
	news    chan struct{} // closed when more is known; nil while nobody waits
}

// made notes a change that this process has made.
func (p *progress) made(revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = max(p.changed, revision)
}

// join notes that a follower follows, and has passed on everything up to a revision.
func (p *progress) join(f *follower, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[*follower]uint64{}
	}
	p.seen[f] = revision
}

// passed notes that a follower has passed on everything up to a revision.
func (p *progress) passed(f *follower, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, follows := p.seen[f]; follows && revision > before {
		p.seen[f] = revision
		p.tell()
	}
}

// leave notes that a follower follows no more.
func (p *progress) leave(f *follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, f)
	p.tell()
}

// tell wakes those who wait. The caller holds mu.
func (p *progress) tell() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// followers returns those who have not been passed a revision.
func (p *progress) followers(behind uint64) (all []*follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f, seen := range p.seen {
		if seen < behind {
			all = append(all, f)
		}
	}
	return all
}

// expect has those followers ask for a revision that have not been passed it within newsTime.
func (p *progress) expect(revision uint64) {
	if len(p.followers(revision)) == 0 {
		return
	}
	time.AfterFunc(newsTime, func() {
		for _, f := range p.followers(revision) {
			f.look()
		}
	})
}

// behind reports whether a follower has not been passed a revision. The caller holds mu.
func (p *progress) behind(revision uint64) bool {
	for seen := range maps.Values(p.seen) {
		if seen < revision {
			return true
		}
	}
	return false
}

// known returns the last revision that this process has made or all its followers know.
func (p *progress) known() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	least, first := uint64(0), true
	for seen := range maps.Values(p.seen) {
		if first || seen < least {
			least, first = seen, false
		}
	}
	return max(least, p.changed)
}

// await waits until all followers know a revision, and reports whether they do.
func (p *progress) await(ctx context.Context, revision uint64) bool {
	p.expect(revision)
	for {
		p.mu.Lock()
		if !p.behind(revision) {
			p.mu.Unlock()
			return true
		}
		if p.news == nil {
			p.news = make(chan struct{})
		}
		news := p.news
		p.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}

// epochOf returns what tells a store from others, and from itself before it was restored.
func epochOf(b *jetBucket) string {
	return strconv.FormatInt(b.stream.CachedInfo().Created.UnixMicro(), 36)
}
