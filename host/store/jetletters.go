package store

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// jetLetters implements Letters.
type jetLetters struct{ *reader }

func (l *jetLetters) Add(ctx context.Context, i Item) (sequence uint64, err error) {
	sequence, _, err = l.publish(ctx, l.names.dead()+i.FunctionID, i)
	return sequence, err
}

func (l *jetLetters) Use(ctx context.Context) (bytes, capacity int64, err error) {
	info, err := l.link.info(ctx, l.stream)
	if err != nil {
		return 0, 0, unavailable("dead letters", err)
	}
	return int64(info.State.Bytes), info.Config.MaxBytes, nil
}

func (l *jetLetters) List(ctx context.Context, functionIDs []string, after uint64, each func(Item) (more bool)) error {
	if after == math.MaxUint64 {
		return nil // no later sequence exists
	}
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy}
	for _, id := range functionIDs {
		cfg.FilterSubjects = append(cfg.FilterSubjects, l.names.dead()+id)
	}
	// A reader that asks for few at a time occasionally stalls until the client
	// misses its heartbeats, seconds later, and so does one whose server dies. A new
	// reader is quicker.
	for readers := 0; ; readers++ {
		cfg.OptStartSeq = after + 1
		// Few at a time: their size is unknown.
		err := l.read(ctx, cfg, 4, opTimeout/maxReaders, func(m jetstream.Msg, sequence uint64, at time.Time) bool {
			i := newItem(m.Subject()[len(l.names.dead()):], m.Headers(), m.Data())
			i.Sequence, i.Stored = sequence, at
			after, readers = sequence, 0
			return each(i)
		})
		if !unanswered(err) || ctx.Err() != nil || readers == maxReaders {
			return err
		}
	}
}

// maxReaders is how many readers are tried for one dead letter.
const maxReaders = 5

func (l *jetLetters) Drop(ctx context.Context, functionID string, last uint64) error {
	err := l.purge(ctx, l.stream, jetstream.WithPurgeSubject(l.names.dead()+functionID), jetstream.WithPurgeSequence(last+1))
	return unavailable("dead letters", err)
}

func (l *jetLetters) Sizes(ctx context.Context, each func(functionID string, sequence uint64, bytes int64)) error {
	cfg := jetstream.OrderedConsumerConfig{HeadersOnly: true}
	return l.read(ctx, cfg, jetstream.DefaultMaxMessages, opTimeout, func(m jetstream.Msg, sequence uint64, _ time.Time) bool {
		size, _ := strconv.ParseInt(m.Headers().Get("Nats-Msg-Size"), 10, 64) // written by the server
		each(m.Subject()[len(l.names.dead()):], sequence, size+letterBytes)
		return true
	})
}

func (l *jetLetters) item(m *jetstream.RawStreamMsg) Item {
	i := newItem(m.Subject[len(l.names.dead()):], m.Header, m.Data)
	i.Sequence, i.Stored = m.Sequence, m.Time
	return i
}

func (l *jetLetters) Get(ctx context.Context, sequence uint64) (Item, error) {
	var m *jetstream.RawStreamMsg
	err := l.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		m, err = l.stream.GetMsg(ctx, sequence)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Item{}, ErrNotFound
	}
	if err != nil {
		return Item{}, unavailable("dead letter "+strconv.FormatUint(sequence, 10), err)
	}
	return l.item(m), nil
}

func (l *jetLetters) Delete(ctx context.Context, sequence uint64) error {
	err := l.link.repeat(ctx, attemptTime, func(ctx context.Context) error { return l.stream.DeleteMsg(ctx, sequence) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, err := l.Get(ctx, sequence); errors.Is(err, ErrNotFound) {
			return nil
		}
	}
	return unavailable("dead letters", err)
}
