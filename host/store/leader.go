package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leader reads what the server has that decides on a stream. The client's own methods ask
// any of those that keep a copy, which may lag behind: what one of them has not got yet would
// be taken for deleted. Safe for concurrent use.
type leader struct {
	conn   *nats.Conn
	link   *link
	stream string
}

// wanted says which message to read. The names are those of the servers' API.
type wanted struct {
	Last string `json:"last_by_subj,omitempty"` // the last one of a subject
	From uint64 `json:"seq,omitempty"`          // or the first one from here on
	Next string `json:"next_by_subj,omitempty"` // of a subject, which may have wildcards
}

// answered is what the leader answers.
type answered struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Subject  string    `json:"subject"`
		Sequence uint64    `json:"seq"`
		Header   []byte    `json:"hdrs"`
		Data     []byte    `json:"data"`
		Time     time.Time `json:"time"`
	} `json:"message"`
}

// last returns the last message of a subject, or jetstream.ErrMsgNotFound.
func (l leader) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return l.get(ctx, wanted{Last: subject})
}

// next returns the first message of a subject from a sequence on, or jetstream.ErrMsgNotFound.
func (l leader) next(ctx context.Context, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	return l.get(ctx, wanted{From: max(from, 1), Next: subject})
}

func (l leader) get(ctx context.Context, which wanted) (m *jetstream.RawStreamMsg, err error) {
	request := Record(which)
	err = l.link.repeat(ctx, attemptTime, func(ctx context.Context) (err error) {
		m, err = l.ask(ctx, request)
		return err
	})
	return m, err
}

func (l leader) ask(ctx context.Context, request []byte) (*jetstream.RawStreamMsg, error) {
	response, err := l.conn.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+l.stream, request)
	if err != nil {
		return nil, err
	}
	var a answered
	if err := json.Unmarshal(response.Data, &a); err != nil {
		return nil, err
	}
	switch {
	case a.Error != nil && a.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case a.Error != nil:
		return nil, a.Error
	case a.Message == nil:
		return nil, jetstream.ErrInvalidJetStreamResponse
	}
	m := &jetstream.RawStreamMsg{Subject: a.Message.Subject, Sequence: a.Message.Sequence, Data: a.Message.Data, Time: a.Message.Time}
	if len(a.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(a.Message.Header); err != nil {
			return nil, err
		}
	}
	return m, nil
}
