package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ackWait is after how long an item is given out again that nobody has
	// reported on. Those that are being worked on are reported on more often.
	ackWait = 30 * time.Second
	// maxPending is how many items may be with workers, or put off by them.
	maxPending = 10_000

	headerPrefix = "Vivarium-"
)

// Item is a queued call, or a dead letter: who is to be called, with what, and
// notes of the caller's own.
type Item struct {
	// ID makes two items the same: within minutes the second is dropped.
	ID         string
	FunctionID string
	Notes      map[string]string
	Body       []byte

	// Sequence is the item's place in the queue, or among dead letters.
	Sequence uint64
	// Stored is when it came to be.
	Stored time.Time

	message jetstream.Msg
	backlog *backlogSizes
}

// Enqueue adds an item to the queue. It is stored when Enqueue returns.
//
// # Errors
//
// ErrUnavailable, also when the queue is full.
func (s *Store) Enqueue(ctx context.Context, i Item) error {
	return s.publish(ctx, queueSubject, i)
}

// Bury adds a dead letter.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Bury(ctx context.Context, i Item) error { return s.publish(ctx, deadSubject, i) }

func (s *Store) publish(ctx context.Context, subject string, i Item) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	m := nats.NewMsg(subject + i.FunctionID)
	m.Data = i.Body
	for name, value := range i.Notes {
		m.Header.Set(headerPrefix+name, value)
	}
	var options []jetstream.PublishOpt
	if i.ID != "" {
		options = append(options, jetstream.WithMsgID(i.ID))
	}
	ack, err := s.js.PublishMsg(ctx, m, options...)
	if err == nil && !ack.Duplicate && subject == queueSubject {
		s.backlog.add(i.FunctionID, int64(len(i.Body)))
	}
	return unavailable("queue", err)
}

// backlogSizes knows the bytes of queued bodies by function, as far as this
// process can: what others queue or make it does not see. Safe for concurrent
// use.
type backlogSizes struct {
	mu    sync.Mutex // guards bytes
	bytes map[string]int64
}

func (b *backlogSizes) add(functionID string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes[functionID] += n; b.bytes[functionID] <= 0 {
		delete(b.bytes, functionID)
	}
}

// load estimates what an earlier process has left in the queue.
func (s *Store) loadBacklog(ctx context.Context) error {
	counts, err := s.countBySubject(ctx, s.queue, queueSubject)
	if err != nil {
		return err
	}
	s.backlog.bytes = map[string]int64{}
	for id, n := range counts {
		state := s.queue.CachedInfo().State
		s.backlog.bytes[id] = int64(n * (state.Bytes / max(state.Msgs, 1)))
	}
	return nil
}

func newItem(subject, prefix string, h nats.Header, body []byte) Item {
	i := Item{FunctionID: subject[len(prefix):], Body: body, Notes: map[string]string{}, ID: h.Get(nats.MsgIdHdr)}
	for name := range h {
		if len(name) > len(headerPrefix) && name[:len(headerPrefix)] == headerPrefix {
			i.Notes[name[len(headerPrefix):]] = h.Get(name)
		}
	}
	return i
}

// Work calls each for the items of the queue, one after the other, and returns
// at once; the function that it returns ends that. An item comes again, here or
// in another process, unless Done is called, or Working from time to time.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Work(ctx context.Context, each func(Item)) (stop func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	c, err := s.queue.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxAckPending: maxPending, MaxDeliver: -1,
	})
	if err != nil {
		return nil, unavailable("queue", err)
	}
	// Few at a time: what is here and can't be made yet, another process could.
	working, err := c.Consume(func(m jetstream.Msg) {
		i := newItem(m.Subject(), queueSubject, m.Headers(), m.Data())
		i.message, i.backlog = m, &s.backlog
		if meta, err := m.Metadata(); err == nil {
			i.Stored, i.Sequence = meta.Timestamp, meta.Sequence.Stream
		}
		each(i)
	}, jetstream.PullMaxMessages(8))
	if err != nil {
		return nil, unavailable("queue", err)
	}
	return func() {
		working.Stop()
		<-working.Closed()
	}, nil
}

// Done removes the item from the queue. When it returns nil, that is stored.
//
// # Errors
//
// ErrUnavailable; the item may then come again.
func (i Item) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err := i.message.DoubleAck(ctx)
	if err == nil {
		i.backlog.add(i.FunctionID, -int64(len(i.Body)))
	}
	return unavailable("queue", err)
}

// Later gives the item back, to come again after a while.
func (i Item) Later(after time.Duration) {
	_ = i.message.NakWithDelay(after) // else it comes again after ackWait
}

// Working says that the item is being worked on.
func (i Item) Working() { _ = i.message.InProgress() }

// WorkingEvery is how often Working should be called.
const WorkingEvery = ackWait / 3

// Dead lists dead letters, oldest first: those of a function, or all when
// functionID is empty.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Dead(ctx context.Context, functionID string, limit int) ([]Item, error) {
	subject := deadSubject + functionID
	if functionID == "" {
		subject = deadSubject + "*"
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	var items []Item
	for next := uint64(1); len(items) < limit; {
		m, err := s.dead.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, unavailable("dead letters", err)
		}
		items = append(items, deadItem(m))
		next = m.Sequence + 1
	}
	return items, nil
}

func deadItem(m *jetstream.RawStreamMsg) Item {
	i := newItem(m.Subject, deadSubject, m.Header, m.Data)
	i.Sequence, i.Stored = m.Sequence, m.Time
	return i
}

// DeadLetter returns one dead letter.
//
// # Errors
//
// ErrNotFound, ErrUnavailable.
func (s *Store) DeadLetter(ctx context.Context, sequence uint64) (Item, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	m, err := s.dead.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Item{}, ErrNotFound
	}
	if err != nil {
		return Item{}, unavailable("dead letter "+strconv.FormatUint(sequence, 10), err)
	}
	return deadItem(m), nil
}

// Unbury removes a dead letter; one that is not there is no error.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Unbury(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err := s.dead.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, err := s.DeadLetter(ctx, sequence); errors.Is(err, ErrNotFound) {
			return nil
		}
	}
	return unavailable("dead letters", err)
}

// Queued is what waits in the queue for a function or is being worked on.
type Queued struct {
	Items int64
	Bytes int64 // of their bodies, about: see backlogSizes
}

// Queued tells what there is in the queue, by function.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Queued(ctx context.Context) (map[string]Queued, error) {
	counts, err := s.countBySubject(ctx, s.queue, queueSubject)
	if err != nil {
		return nil, err
	}
	s.backlog.mu.Lock()
	defer s.backlog.mu.Unlock()
	queued := make(map[string]Queued, len(counts))
	for id, n := range counts {
		queued[id] = Queued{int64(n), s.backlog.bytes[id]}
	}
	return queued, nil
}

// countBySubject counts a stream's messages by what follows prefix.
func (s *Store) countBySubject(ctx context.Context, stream jetstream.Stream, prefix string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, unavailable(prefix, err)
	}
	counts := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		counts[strings.TrimPrefix(subject, prefix)] = n
	}
	return counts, nil
}

// Backlog is how many items wait in the queue or are being worked on.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Backlog(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	info, err := s.queue.Info(ctx)
	if err != nil {
		return 0, unavailable("queue", err)
	}
	return info.State.Msgs, nil
}
