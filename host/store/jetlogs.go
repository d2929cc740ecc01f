package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// jetLogs implements Logs.
type jetLogs struct {
	*jet
	name    string // of the stream
	subject string // of the logs, up to the function's id
	stream  jetstream.Stream
}

func (l *jetLogs) Append(ctx context.Context, functionID string, batch []byte) error {
	m := nats.NewMsg(l.subject + functionID)
	m.Data = batch
	_, _, err := l.link.publish(ctx, l.js, m)
	return unavailable("logs", err)
}

func (l *jetLogs) Read(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(batch []byte) error,
) error {
	subject, appended := l.subject+functionID, make(chan struct{}, 1)
	if follow {
		look := func() {
			select {
			case appended <- struct{}{}:
			default: // the reader is about to look anyway
			}
		}
		news, err := l.conn.Subscribe(subject, func(*nats.Msg) { look() })
		if err != nil {
			return unavailable("logs", err)
		}
		news.SetClosedHandler(func(string) { look() })
		defer func() { _ = news.Unsubscribe() }() // it fails when the connection is closed
	}
	from := jetstreamext.GetBatchSeq(1)
	if !since.IsZero() {
		from = jetstreamext.GetBatchStartTime(since)
	}
	read, whole := 0, 0 // whole is what there is at first: what comes meanwhile is for followers
	for wait := lookSoon; ; {
		part, left, err := l.part(ctx, subject, from)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (!follow || l.conn.IsClosed()): // else a follower waits for the servers
			return unavailable("logs", err)
		}
		for _, m := range part {
			if err := each(m.Data); err != nil {
				return err
			}
			from = jetstreamext.GetBatchSeq(m.Sequence + 1)
		}
		if read == 0 {
			whole = len(part) + left
		}
		if read += len(part); !follow && (left == 0 || read >= whole) {
			return nil
		}
		if left > 0 {
			continue
		}
		if len(part) > 0 {
			wait = lookSoon
		}
		select {
		case <-appended: // but perhaps not yet stored
			wait = lookSoon
		case <-time.After(wait):
			wait = min(2*wait, lookLate)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const (
	// partBatches and partBytes bound what is read of a log at once. A batch has
	// MaxReadAhead/2 bytes at most, and the last one of a part may exceed partBytes.
	partBatches = 1024
	partBytes   = MaxReadAhead / 2
	// A follower looks again this long after something was announced, then after twice
	// as long and so on, and after lookLate for what was announced while it was cut off.
	lookSoon = 5 * time.Millisecond
	lookLate = 2 * time.Second
)

// part returns batches of a log, and how many there are after them.
func (l *jetLogs) part(
	ctx context.Context, subject string, from jetstreamext.GetBatchOpt,
) (part []*jetstream.RawStreamMsg, left int, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	batches, err := jetstreamext.GetBatch(ctx, l.js, l.name, partBatches,
		jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(partBytes), from)
	if err != nil {
		return nil, 0, err
	}
	for m, err := range batches {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, 0, nil
		}
		if err == nil {
			left, err = strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
		}
		if err != nil {
			return nil, 0, err
		}
		part = append(part, m)
	}
	return part, left, ctx.Err() // a server that falls silent ends the loop, too
}

func (l *jetLogs) Sizes(ctx context.Context) (batches map[string]uint64, average int64, err error) {
	if batches, err = l.countBySubject(ctx, l.stream, l.subject); err != nil {
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
	err := l.purge(ctx, l.stream, jetstream.WithPurgeSubject(l.subject+functionID), jetstream.WithPurgeKeep(uint64(keep)))
	return unavailable("log of "+functionID, err)
}

func (l *jetLogs) Delete(ctx context.Context, functionID string) error {
	if err := l.purge(ctx, l.stream, jetstream.WithPurgeSubject(l.subject+functionID)); err != nil {
		return unavailable(fmt.Sprintf("log of %s", functionID), err)
	}
	return nil
}

func (l *jetLogs) Capacity() int64 { return l.stream.CachedInfo().Config.MaxBytes }
