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
	// giverLasts is how long the server remembers an idle consumer,
	// giverLastsHere the same where creating one again costs next to nothing.
	giverLasts, giverLastsHere = 5 * time.Minute, 5 * time.Second
	maxGivers                  = 1000 // cached before unused ones are dropped

	headerPrefix = "Vivarium-"
	timerSuffix  = ".timer"
)

// jetQueue implements Queue.
type jetQueue struct {
	*jet
	stream  jetstream.Stream
	backlog backlogSizes
	givers  givers
	ackWait time.Duration
}

// subject returns that of a line's items.
func (q *jetQueue) subject(l Line) string {
	if l.Timer {
		return q.names.queue() + l.FunctionID + timerSuffix
	}
	return q.names.queue() + l.FunctionID
}

func (q *jetQueue) Add(ctx context.Context, i Item) error {
	_, added, err := q.publish(ctx, q.subject(i.Line()), i)
	if err == nil && added {
		q.backlog.add(i.FunctionID, int64(len(i.Body)))
	}
	return err
}

// publish stores an item, unless it is there already, and reports whether it has added it:
// which of its attempts did does not matter.
func (j *jet) publish(ctx context.Context, subject string, i Item) (sequence uint64, added bool, err error) {
	m := nats.NewMsg(subject)
	m.Data = i.Body
	for name, value := range i.Notes {
		m.Header.Set(headerPrefix+name, value)
	}
	if i.ID != "" {
		m.Header.Set(nats.MsgIdHdr, i.ID)
	}
	ack, again, err := j.link.publish(ctx, j.js, m)
	if err != nil {
		return 0, false, unavailable("queue", err)
	}
	return ack.Sequence, again || !ack.Duplicate, nil
}

// backlogSizes tracks the bytes of queued bodies by function, as far as this
// process can: it does not see what others add and remove. Safe for concurrent
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

// loadBacklog estimates what earlier processes have left in the queue.
func (q *jetQueue) loadBacklog(ctx context.Context) error {
	lines, err := q.Lines(ctx)
	if err != nil {
		return err
	}
	state := q.stream.CachedInfo().State
	q.backlog.bytes = map[string]int64{}
	for l, n := range lines {
		q.backlog.bytes[l.FunctionID] += int64(n * (state.Bytes / max(state.Msgs, 1)))
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
	if strings.HasPrefix(i.ID, ownID) {
		i.ID = ""
	}
	return i
}

func (q *jetQueue) Take(ctx context.Context, l Line, n int) ([]Item, error) {
	items, err := q.fetch(ctx, l, n)
	if errors.Is(err, nats.ErrNoResponders) { // the server has dropped the consumer meanwhile
		q.givers.forget(l)
		items, err = q.fetch(ctx, l, n)
	}
	return items, unavailable("queue", err)
}

func (q *jetQueue) fetch(ctx context.Context, l Line, n int) ([]Item, error) {
	c, err := q.giver(ctx, l)
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
		i.Timer = l.Timer
		i.given = &jetDelivery{m, q.link, &q.backlog, l.FunctionID, int64(len(m.Data()))}
		if meta, err := m.Metadata(); err == nil {
			i.Stored, i.Sequence = meta.Timestamp, meta.Sequence.Stream
		}
		items = append(items, i)
	}
	return items, batch.Error()
}

// givers caches the consumers of recently used lines. Safe for concurrent use.
type givers struct {
	mu   sync.Mutex // guards the map
	used map[Line]giver
}

type giver struct {
	jetstream.Consumer
	at time.Time // last use
}

// of returns the consumer of a line, unless it was idle long enough to have
// expired.
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

// giver returns the consumer that hands out the items of a line. The server
// keeps one for each line in use, and drops those that are idle, so none are
// left over for deleted functions.
func (q *jetQueue) giver(ctx context.Context, l Line) (jetstream.Consumer, error) {
	lasts := giverLasts
	if q.exclusive {
		lasts = giverLastsHere
	}
	if c, ok := q.givers.of(l, lasts); ok {
		return c, nil
	}
	name := l.FunctionID
	if l.Timer {
		name += "-timer"
	}
	config := jetstream.ConsumerConfig{
		Durable: name, FilterSubject: q.subject(l), AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.ackWait,
		MaxAckPending: -1, MaxDeliver: -1, InactiveThreshold: lasts,
		// Losing the consumer's state at the end of the process only makes
		// items in progress come again at once.
		MemoryStorage: q.exclusive,
	}
	var c jetstream.Consumer
	err := q.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		c, err = q.stream.CreateOrUpdateConsumer(ctx, config)
		return err
	})
	if err != nil {
		return nil, err
	}
	q.givers.put(l, c, lasts)
	return c, nil
}

// jetDelivery is an item in progress.
type jetDelivery struct {
	message    jetstream.Msg
	link       *link
	backlog    *backlogSizes
	functionID string
	bytes      int64
}

func (d *jetDelivery) done(ctx context.Context) error {
	err := d.link.repeat(ctx, attemptTime, d.message.DoubleAck)
	if err == nil {
		d.backlog.add(d.functionID, -d.bytes)
	}
	return unavailable("queue", err)
}

func (d *jetDelivery) later(after time.Duration) {
	_ = d.message.NakWithDelay(after) // otherwise it comes again after ackWait
}

func (d *jetDelivery) working() { _ = d.message.InProgress() }

func (q *jetQueue) Sizes(ctx context.Context) (map[string]Queued, error) {
	lines, err := q.Lines(ctx)
	if err != nil {
		return nil, err
	}
	q.backlog.mu.Lock()
	defer q.backlog.mu.Unlock()
	queued := make(map[string]Queued, len(lines))
	for l, n := range lines {
		queued[l.FunctionID] = Queued{queued[l.FunctionID].Items + int64(n), q.backlog.bytes[l.FunctionID]}
	}
	return queued, nil
}

func (q *jetQueue) Lines(ctx context.Context) (map[Line]uint64, error) {
	counts, err := q.countBySubject(ctx, q.stream, q.names.queue())
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

func (q *jetQueue) Drop(ctx context.Context, functionID string) error {
	for _, timer := range []bool{false, true} {
		if err := q.purge(ctx, q.stream, jetstream.WithPurgeSubject(q.subject(Line{functionID, timer}))); err != nil {
			return unavailable("queue", err)
		}
	}
	q.backlog.drop(functionID)
	return nil
}

// countBySubject counts a stream's messages by the rest of the subject after
// prefix.
func (j *jet) countBySubject(ctx context.Context, stream jetstream.Stream, prefix string) (map[string]uint64, error) {
	var info *jetstream.StreamInfo
	err := j.link.repeat(ctx, readTime, func(ctx context.Context) (err error) {
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
		return err
	})
	if err != nil {
		return nil, unavailable(prefix, err)
	}
	counts := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		counts[strings.TrimPrefix(subject, prefix)] = n
	}
	return counts, nil
}

func (q *jetQueue) Capacity() int64 { return q.stream.CachedInfo().Config.MaxBytes }

func (q *jetQueue) Len(ctx context.Context) (uint64, error) {
	info, err := q.link.info(ctx, q.stream)
	if err != nil {
		return 0, unavailable("queue", err)
	}
	return info.State.Msgs, nil
}
