package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// AppendLog adds a batch to a function's log. It blocks until the batch is
// stored.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) AppendLog(ctx context.Context, functionID string, batch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := s.js.Publish(ctx, logSubject+functionID, batch)
	return unavailable("logs", err)
}

// ReadLog passes on the batches of a function's log that were stored since a
// time, oldest first. With follow it goes on with those that come, until ctx
// ends or each returns an error.
//
// # Errors
//
// What each returns; ctx's; ErrUnavailable.
func (s *Store) ReadLog(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(batch []byte) error,
) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{logSubject + functionID}}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	c, pending, err := s.reader(ctx, s.logs, cfg)
	if err != nil {
		return unavailable("logs", err)
	}
	defer s.endReading(s.logs, c)
	if pending == 0 && !follow {
		return nil
	}
	messages, err := c.Messages()
	if err != nil {
		return unavailable("logs", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat) && follow:
			continue
		case err != nil:
			return unavailable("logs", err)
		}
		if err := each(m.Data()); err != nil {
			return err
		}
		if pending--; pending == 0 && !follow {
			return nil
		}
	}
}

// LogSizes tells how many batches of each function's log there are, and how
// many bytes a batch has on average.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) LogSizes(ctx context.Context) (batches map[string]uint64, average int64, err error) {
	if batches, err = s.countBySubject(ctx, s.logs, logSubject); err != nil {
		return nil, 0, err
	}
	if state := s.logs.CachedInfo().State; state.Msgs > 0 {
		average = int64(state.Bytes / state.Msgs)
	}
	return batches, average, nil
}

// TrimLog removes all but the newest batches of a function's log.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) TrimLog(ctx context.Context, functionID string, keep int) error {
	if keep <= 0 {
		return s.DeleteLog(ctx, functionID)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err := s.logs.Purge(ctx, jetstream.WithPurgeSubject(logSubject+functionID), jetstream.WithPurgeKeep(uint64(keep)))
	return unavailable("log of "+functionID, err)
}

// reader returns a reader of a stream, and how much there is to read. Whoever
// got it calls endReading.
func (s *Store) reader(
	ctx context.Context, stream jetstream.Stream, cfg jetstream.OrderedConsumerConfig,
) (c jetstream.Consumer, pending uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if c, err = stream.OrderedConsumer(ctx, cfg); err != nil {
		return nil, 0, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		s.endReading(stream, c)
		return nil, 0, err
	}
	return c, info.NumPending, nil
}

// endReading lets the server forget a reader, which it would otherwise keep for
// minutes.
func (s *Store) endReading(stream jetstream.Stream, c jetstream.Consumer) {
	info := c.CachedInfo()
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the reader's own may have ended
	defer cancel()
	_ = stream.DeleteConsumer(ctx, info.Name) // else it goes by itself, later
}

// DeleteLog removes a function's log.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) DeleteLog(ctx context.Context, functionID string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := s.logs.Purge(ctx, jetstream.WithPurgeSubject(logSubject+functionID)); err != nil {
		return unavailable(fmt.Sprintf("log of %s", functionID), err)
	}
	return nil
}
