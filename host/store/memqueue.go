package store

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// memQueue implements Queue in memory.
type memQueue struct {
	*memory
	most    int64 // bytes
	ackWait time.Duration

	mu    sync.Mutex // guards all below; nothing blocks under it
	lines map[Line]*memLine
	last  uint64 // sequence
	items uint64
	size  int64 // bytes
	known knownIDs
}

// memLine is the contents of a line. It has at least one item.
type memLine struct {
	fresh []*memItem // never handed out, in order
	given memGiven
	bytes int64 // of all bodies
}

func (l *memLine) len() int { return len(l.fresh) + len(l.given) }

// memItem is an item of a line.
type memItem struct {
	Item
	due   time.Time // when it comes again, if handed out
	index int       // in memLine.given; -1 if not in it
}

// itemBytes is the approximate overhead of an item or dead letter, apart from
// body and notes.
const itemBytes = 384

func itemSize(i *Item) int64 {
	n := len(i.ID) + len(i.Body)
	for name, value := range i.Notes {
		n += len(name) + len(value)
	}
	return int64(n) + itemBytes
}

// ownItem returns a copy that shares nothing with the caller's item.
func ownItem(i Item) Item {
	i.Body, i.given = bytes.Clone(i.Body), nil
	return lendItem(i)
}

// lendItem returns a copy whose notes the caller may change.
func lendItem(i Item) Item {
	if i.Notes = maps.Clone(i.Notes); i.Notes == nil {
		i.Notes = map[string]string{}
	}
	return i
}

func (q *memQueue) Add(_ context.Context, i Item) error {
	if err := q.open(); err != nil {
		return err
	}
	size := itemSize(&i)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if _, again := q.known.find(i.ID, now); again {
		return nil
	}
	if q.size+size > q.most {
		return fmt.Errorf("%w: queue: %d of %d bytes are taken", ErrUnavailable, q.size, q.most)
	}
	q.last++
	i.Sequence, i.Stored = q.last, now
	q.known.note(i.ID, i.Sequence, now)
	l := q.lines[i.Line()]
	if l == nil {
		l = &memLine{}
		q.lines[i.Line()] = l
	}
	l.fresh = append(l.fresh, &memItem{Item: ownItem(i), index: -1})
	l.bytes += int64(len(i.Body))
	q.items++
	q.size += size
	return nil
}

func (q *memQueue) Take(_ context.Context, line Line, n int) ([]Item, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[line]
	if l == nil {
		return nil, nil
	}
	var items []Item
	for now := time.Now(); len(items) < n; {
		var i *memItem
		switch {
		case len(l.given) > 0 && !l.given[0].due.After(now):
			i = l.given[0]
			i.due = now.Add(q.ackWait)
			heap.Fix(&l.given, 0)
		case len(l.fresh) > 0:
			i = l.fresh[0]
			l.fresh[0], l.fresh = nil, l.fresh[1:]
			i.due = now.Add(q.ackWait)
			heap.Push(&l.given, i)
		default:
			return items, nil
		}
		given := lendItem(i.Item)
		given.given = memDelivery{q, i}
		items = append(items, given)
	}
	return items, nil
}

// memDelivery is an item in progress.
type memDelivery struct {
	queue *memQueue
	item  *memItem
}

func (d memDelivery) done(context.Context) error {
	if err := d.queue.open(); err != nil {
		return err
	}
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	if d.item.index < 0 {
		return nil
	}
	l := d.queue.lines[d.item.Line()]
	heap.Remove(&l.given, d.item.index)
	l.bytes -= int64(len(d.item.Body))
	d.queue.items--
	d.queue.size -= itemSize(&d.item.Item)
	if l.len() == 0 {
		delete(d.queue.lines, d.item.Line())
	}
	return nil
}

func (d memDelivery) later(after time.Duration) {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	if d.item.index >= 0 {
		d.item.due = time.Now().Add(after)
		heap.Fix(&d.queue.lines[d.item.Line()].given, d.item.index)
	}
}

func (d memDelivery) working() { d.later(d.queue.ackWait) }

func (q *memQueue) Drop(_ context.Context, functionID string) error {
	if err := q.open(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, timer := range []bool{false, true} {
		line := Line{functionID, timer}
		l := q.lines[line]
		if l == nil {
			continue
		}
		for _, items := range [][]*memItem{l.fresh, l.given} {
			for _, i := range items {
				i.index = -1
				q.items--
				q.size -= itemSize(&i.Item)
			}
		}
		delete(q.lines, line)
	}
	return nil
}

func (q *memQueue) Len(context.Context) (uint64, error) {
	if err := q.open(); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items, nil
}

func (q *memQueue) Lines(context.Context) (map[Line]uint64, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := make(map[Line]uint64, len(q.lines))
	for line, l := range q.lines {
		lines[line] = uint64(l.len())
	}
	return lines, nil
}

func (q *memQueue) Sizes(context.Context) (map[string]Queued, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	sizes := make(map[string]Queued, len(q.lines))
	for line, l := range q.lines {
		n := sizes[line.FunctionID]
		sizes[line.FunctionID] = Queued{n.Items + int64(l.len()), n.Bytes + l.bytes}
	}
	return sizes, nil
}

func (q *memQueue) Capacity() int64 { return q.most }

// memGiven are the items in progress; the first is the one that comes again
// first. It implements heap.Interface.
type memGiven []*memItem

func (g memGiven) Len() int           { return len(g) }
func (g memGiven) Less(i, j int) bool { return g[i].due.Before(g[j].due) }

func (g memGiven) Swap(i, j int) {
	g[i], g[j] = g[j], g[i]
	g[i].index, g[j].index = i, j
}

func (g *memGiven) Push(x any) {
	i := x.(*memItem)
	i.index = len(*g)
	*g = append(*g, i)
}

func (g *memGiven) Pop() any {
	last := len(*g) - 1
	i := (*g)[last]
	(*g)[last], *g = nil, (*g)[:last]
	i.index = -1
	return i
}

// knownIDs are the IDs of recent items.
type knownIDs struct {
	sequences map[string]uint64
	order     []knownID // oldest first
}

type knownID struct {
	id string
	at time.Time
}

// maxKnown bounds how many IDs are remembered; the oldest are forgotten.
const maxKnown = 1 << 17

// find returns the sequence of the item with an ID, if it came within
// duplicateWindow.
func (k *knownIDs) find(id string, now time.Time) (sequence uint64, ok bool) {
	n := max(len(k.order)-maxKnown, 0)
	for n < len(k.order) && now.Sub(k.order[n].at) > duplicateWindow {
		n++
	}
	for _, old := range k.order[:n] {
		delete(k.sequences, old.id)
	}
	clear(k.order[:n])
	k.order = k.order[n:]
	sequence, ok = k.sequences[id]
	return sequence, ok
}

// note records the ID of a new item.
func (k *knownIDs) note(id string, sequence uint64, now time.Time) {
	if id == "" {
		return
	}
	if k.sequences == nil {
		k.sequences = map[string]uint64{}
	}
	k.sequences[id] = sequence
	k.order = append(k.order, knownID{id, now})
}
