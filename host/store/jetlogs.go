package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// jetLogs implements Logs.
type jetLogs struct {
	*jet
	stream jetstream.Stream
}

func (l *jetLogs) Append(ctx context.Context, functionID string, batch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := l.js.Publish(ctx, logSubject+functionID, batch)
	return unavailable("logs", err)
}

func (l *jetLogs) Read(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(batch []byte) error,
) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{logSubject + functionID}}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	c, pending, err := l.reader(ctx, l.stream, cfg)
	if err != nil {
		return unavailable("logs", err)
	}
	defer l.endReading(l.stream, c)
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

func (l *jetLogs) Sizes(ctx context.Context) (batches map[string]uint64, average int64, err error) {
	if batches, err = l.countBySubject(ctx, l.stream, logSubject); err != nil {
		return nil, 0, err
	}
	if state := l.stream.CachedInfo().State; state.Msgs > 0 {
		average = int64(state.Bytes / state.Msgs)
	}
	return batches, average, nil
}

func (l *jetLogs) Trim(ctx context.Context, functionID string, keep int) error {
	if keep <= 0 {
		return l.Delete(ctx, functionID)
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(logSubject+functionID), jetstream.WithPurgeKeep(uint64(keep)))
	return unavailable("log of "+functionID, err)
}

// reader returns a reader of a stream, and how many messages there are to read.
// The caller must call endReading.
func (j *jet) reader(
	ctx context.Context, stream jetstream.Stream, cfg jetstream.OrderedConsumerConfig,
) (c jetstream.Consumer, pending uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if c, err = stream.OrderedConsumer(ctx, cfg); err != nil {
		return nil, 0, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		j.endReading(stream, c)
		return nil, 0, err
	}
	return c, info.NumPending, nil
}

// endReading makes the server forget a reader, which it would otherwise keep
// for minutes.
func (j *jet) endReading(stream jetstream.Stream, c jetstream.Consumer) {
	info := c.CachedInfo()
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the reader's own context may have ended
	defer cancel()
	_ = stream.DeleteConsumer(ctx, info.Name) // otherwise it expires later
}

func (l *jetLogs) Delete(ctx context.Context, functionID string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(logSubject+functionID)); err != nil {
		return unavailable(fmt.Sprintf("log of %s", functionID), err)
	}
	return nil
}

func (l *jetLogs) Capacity() int64 { return l.stream.CachedInfo().Config.MaxBytes }
