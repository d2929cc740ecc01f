package store

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// patience bounds each operation on servers of which one may fail: the others need up to
	// nine seconds to notice, and a moment to agree on who takes its place. An operation
	// that exceeds it counts as failed, though it may still take effect.
	patience = 15 * time.Second
	// attemptTime bounds one attempt of an operation. A server that stands still
	// does not refuse, it is silent.
	attemptTime = 2 * time.Second
	// readTime is the same for what takes the servers longer: to count all that a stream has.
	readTime = 5 * time.Second
	// After an attempt that was not answered the next one is made after retrySoon, then after
	// twice as long and so on, up to retryLate.
	retrySoon, retryLate = 20 * time.Millisecond, 250 * time.Millisecond
)

// repeat makes attempts of an operation, each of which may take so long, until one is
// answered, whatever the answer is. It must do no harm to do the operation twice. The one
// server in this process has nobody to take its place: there is one attempt.
func (l *link) repeat(ctx context.Context, each time.Duration, operation func(context.Context) error) error {
	if !l.shared() {
		ctx, cancel := context.WithTimeout(ctx, max(each, opTimeout))
		defer cancel()
		return operation(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, max(2*each, l.patience))
	defer cancel()
	for wait := retrySoon; ; wait = min(2*wait, retryLate) {
		attempt, end := context.WithTimeout(ctx, each)
		err := operation(attempt)
		end()
		if !unanswered(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		case <-l.using.Done():
			return err
		}
	}
}

// noAnswer are the error codes of servers that can't answer yet.
var noAnswer = []jetstream.ErrorCode{
	10008, // not available: there is no leader
	10009, // not the leader any more
	10158, // an earlier attempt is in progress
	10163, // likewise
	10164, // another change of the key is in progress, or was a moment ago
}

// unanswered reports whether an operation's error leaves open what has become of it, or will
// be another one as soon as the servers have a leader.
func unanswered(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return slices.Contains(noAnswer, api.ErrorCode)
	}
	return slices.ContainsFunc([]error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrStaleConnection, errLags,
	}, func(of error) bool { return errors.Is(err, of) })
}

// errLags means that whoever has answered does not know what the leader does.
var errLags = errors.New("a server lags behind")

// ownID begins the ids of messages whose senders have given none.
const ownID = "vivarium~"

// publish has a stream keep a message. It does so once, however many attempts it takes, since
// the servers know the message by its id. again says that it took more than one: then
// conditions may fail for what an earlier one has done.
func (l *link) publish(
	ctx context.Context, js jetstream.JetStream, m *nats.Msg, options ...jetstream.PublishOpt,
) (ack *jetstream.PubAck, again bool, err error) {
	if m.Header.Get(nats.MsgIdHdr) == "" {
		m.Header.Set(nats.MsgIdHdr, ownID+rand.Text())
	}
	attempts := 0
	err = l.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		attempts++
		ack, err = js.PublishMsg(ctx, m, options...)
		return err
	})
	return ack, attempts > 1, err
}

// purge removes messages of a stream.
func (j *jet) purge(ctx context.Context, stream jetstream.Stream, which ...jetstream.StreamPurgeOpt) error {
	return j.link.repeat(ctx, attemptTime, func(ctx context.Context) error { return stream.Purge(ctx, which...) })
}

// info returns what a stream is like now.
func (l *link) info(ctx context.Context, stream jetstream.Stream) (info *jetstream.StreamInfo, err error) {
	err = l.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		info, err = stream.Info(ctx)
		return err
	})
	return info, err
}
