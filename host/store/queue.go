package store

import (
	"context"
	"errors"
	"maps"
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
	// giverLasts is how long the server remembers a line that nobody asks for,
	// giverLastsHere where asking anew costs next to nothing.
	giverLasts, giverLastsHere = 5 * time.Minute, 5 * time.Second
	maxGivers                  = 1000 // kept in mind without looking which are of use

	headerPrefix = "Vivarium-"
)

// Line is what waits for one function: its calls, or the ticks of its timers.
// Each line is given out by itself, so that none waits for another one.
type Line struct {
	FunctionID string
	Timer      bool
}

const timerSuffix = ".timer"

func (l Line) subject() string {
	if l.Timer {
		return queueSubject + l.FunctionID + timerSuffix
	}
	return queueSubject + l.FunctionID
}

// Item is a queued call, or a dead letter: who is to be called, with what, and
// notes of the caller's own.
type Item struct {
	// ID makes two items the same: within minutes the second is dropped.
	ID         string
	FunctionID string
	Notes      map[string]string
	Body       []byte
	Timer      bool // it is a timer's tick, and waits in the line of those

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
	ack, err := s.publish(ctx, i.Line().subject(), i)
	if err == nil && !ack.Duplicate {
		s.backlog.add(i.FunctionID, int64(len(i.Body)))
	}
	return err
}

// Line returns where the item waits.
func (i *Item) Line() Line { return Line{i.FunctionID, i.Timer} }

// publish stores an item, unless it is there already.
func (s *Store) publish(ctx context.Context, subject string, i Item) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	m := nats.NewMsg(subject)
	m.Data = i.Body
	for name, value := range i.Notes {
		m.Header.Set(headerPrefix+name, value)
	}
	var options []jetstream.PublishOpt
	if i.ID != "" {
		options = append(options, jetstream.WithMsgID(i.ID))
	}
	ack, err := s.js.PublishMsg(ctx, m, options...)
	return ack, unavailable("queue", err)
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

func (b *backlogSizes) drop(functionID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bytes, functionID)
}

// loadBacklog estimates what an earlier process has left in the queue.
func (s *Store) loadBacklog(ctx context.Context) error {
	lines, err := s.Lines(ctx)
	if err != nil {
		return err
	}
	state := s.queue.CachedInfo().State
	s.backlog.bytes = map[string]int64{}
	for l, n := range lines {
		s.backlog.bytes[l.FunctionID] += int64(n * (state.Bytes / max(state.Msgs, 1)))
	}
	return nil
}

func newItem(functionID string, h nats.Header, body []byte) Item {
	i := Item{FunctionID: functionID, Body: body, Notes: map[string]string{}, ID: h.Get(nats.MsgIdHdr)}
	for name := range h {
		if len(name) > len(headerPrefix) && name[:len(headerPrefix)] == headerPrefix {
			i.Notes[name[len(headerPrefix):]] = h.Get(name)
		}
	}
	return i
}

// Take gives out the items of a line that come next, at most n, and none when
// there is none. An item comes again, here or in another process, unless Done is
// called, or Working from time to time.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Take(ctx context.Context, l Line, n int) ([]Item, error) {
	items, err := s.fetch(ctx, l, n)
	if errors.Is(err, nats.ErrNoResponders) { // the server has let go of the line meanwhile
		s.givers.forget(l)
		items, err = s.fetch(ctx, l, n)
	}
	return items, unavailable("queue", err)
}

func (s *Store) fetch(ctx context.Context, l Line, n int) ([]Item, error) {
	c, err := s.giver(ctx, l)
	if err != nil {
		return nil, err
	}
	batch, err := c.FetchNoWait(n)
	if err != nil {
		return nil, err
	}
	var items []Item
	for m := range batch.Messages() {
		i := newItem(l.FunctionID, m.Headers(), m.Data())
		i.message, i.backlog, i.Timer = m, &s.backlog, l.Timer
		if meta, err := m.Metadata(); err == nil {
			i.Stored, i.Sequence = meta.Timestamp, meta.Sequence.Stream
		}
		items = append(items, i)
	}
	return items, batch.Error()
}

// givers are the server's ends of lines that were of use lately. Safe for
// concurrent use.
type givers struct {
	mu   sync.Mutex // guards the map
	used map[Line]giver
}

type giver struct {
	jetstream.Consumer
	at time.Time // when it was used last
}

// of returns a line's, unless that was not used for long enough to be gone.
func (g *givers) of(l Line, lasts time.Duration) (jetstream.Consumer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	c, ok := g.used[l]
	if !ok || now.Sub(c.at) > lasts/2 {
		return nil, false
	}
	g.used[l] = giver{c.Consumer, now}
	return c.Consumer, true
}

func (g *givers) put(l Line, c jetstream.Consumer, lasts time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.used) >= maxGivers {
		maps.DeleteFunc(g.used, func(_ Line, c giver) bool { return now.Sub(c.at) > lasts/2 })
	}
	g.used[l] = giver{c, now}
}

func (g *givers) forget(l Line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.used, l)
}

// giver returns what gives out the items of a line. The server keeps one for
// each line that is in use, and forgets those of lines that nobody asks for and
// of which nothing is given out, so it holds none for functions that are gone.
func (s *Store) giver(ctx context.Context, l Line) (jetstream.Consumer, error) {
	lasts := giverLasts
	if s.Exclusive {
		lasts = giverLastsHere
	}
	if c, ok := s.givers.of(l, lasts); ok {
		return c, nil
	}
	name := l.FunctionID
	if l.Timer {
		name += "-timer"
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	c, err := s.queue.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: l.subject(), AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxAckPending: -1, MaxDeliver: -1, InactiveThreshold: lasts,
		// Here, what was given out when the process ended may come again at once.
		MemoryStorage: s.Exclusive,
	})
	if err != nil {
		return nil, err
	}
	s.givers.put(l, c, lasts)
	return c, nil
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
	lines, err := s.Lines(ctx)
	if err != nil {
		return nil, err
	}
	s.backlog.mu.Lock()
	defer s.backlog.mu.Unlock()
	queued := make(map[string]Queued, len(lines))
	for l, n := range lines {
		q := queued[l.FunctionID]
		queued[l.FunctionID] = Queued{q.Items + int64(n), s.backlog.bytes[l.FunctionID]}
	}
	return queued, nil
}

// Lines tells how many items each line has, those that are given out included.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Lines(ctx context.Context) (map[Line]uint64, error) {
	counts, err := s.countBySubject(ctx, s.queue, queueSubject)
	if err != nil {
		return nil, err
	}
	lines := make(map[Line]uint64, len(counts))
	for name, n := range counts {
		id, timer := strings.CutSuffix(name, timerSuffix)
		lines[Line{id, timer}] = n
	}
	return lines, nil
}

// DropQueued removes what waits for a function.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) DropQueued(ctx context.Context, functionID string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	for _, timer := range []bool{false, true} {
		if err := s.queue.Purge(ctx, jetstream.WithPurgeSubject(Line{functionID, timer}.subject())); err != nil {
			return unavailable("queue", err)
		}
	}
	s.backlog.drop(functionID)
	return nil
}

// countBySubject counts a stream's messages by what follows prefix.
func (s *Store) countBySubject(ctx context.Context, stream jetstream.Stream, prefix string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
	if err != nil {
		return nil, unavailable(prefix, err)
	}
	counts := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		counts[strings.TrimPrefix(subject, prefix)] = n
	}
	return counts, nil
}

// QueueCapacity returns how many bytes the queue may take.
func (s *Store) QueueCapacity() int64 { return s.queue.CachedInfo().Config.MaxBytes }

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
