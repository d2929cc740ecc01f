package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// reader reads a stream from end to end.
type reader struct {
	*jet
	what   string // the stream has, for errors
	stream jetstream.Stream
}

// read passes what a consumer gets of the stream to each, until that returns false or there
// is no more. It waits for the next message for as long as patience.
//
// # Errors
//
// ErrUnavailable; ctx's.
func (r *reader) read(
	ctx context.Context, cfg jetstream.OrderedConsumerConfig, atOnce int, patience time.Duration,
	each func(m jetstream.Msg, sequence uint64, at time.Time) (more bool),
) error {
	c, pending, err := r.open(ctx, cfg)
	if err != nil {
		return unavailable(r.what, err)
	}
	defer r.end(c)
	if pending == 0 {
		return nil
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(atOnce))
	if err != nil {
		return unavailable(r.what, err)
	}
	defer messages.Stop()
	for {
		next, cancel := context.WithTimeout(ctx, patience)
		m, err := messages.Next(jetstream.NextContext(next))
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return unavailable(r.what, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return unavailable(r.what, err)
		}
		if !each(m, meta.Sequence.Stream, meta.Timestamp) || meta.NumPending == 0 {
			return nil
		}
	}
}

// open returns a consumer of the stream, and how many messages there are to read. The caller
// must call end.
func (r *reader) open(
	ctx context.Context, cfg jetstream.OrderedConsumerConfig,
) (c jetstream.Consumer, pending uint64, err error) {
	err = r.link.repeat(ctx, readTime, func(ctx context.Context) (err error) {
		if c, err = r.stream.OrderedConsumer(ctx, cfg); err != nil {
			return err
		}
		info, err := c.Info(ctx)
		if err != nil {
			r.end(c)
			return err
		}
		pending = info.NumPending
		return nil
	})
	return c, pending, err
}

// end makes the server forget a consumer, which it would otherwise keep for minutes.
func (r *reader) end(c jetstream.Consumer) {
	info := c.CachedInfo()
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // that of who reads may have ended
	defer cancel()
	_ = r.stream.DeleteConsumer(ctx, info.Name) // otherwise it expires later
}
