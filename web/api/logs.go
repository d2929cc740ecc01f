package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"vivarium/host"
)

// LogEntry is one entry of a function's execution log.
type LogEntry struct {
	Timestamp   Time            `json:"timestamp"`
	FunctionID  string          `json:"functionId"`
	VersionID   string          `json:"versionId"`
	RequestID   string          `json:"requestId,omitempty"`
	Level       string          `json:"level" doc:"UNSPECIFIED for lines that are merely printed."`
	StreamName  string          `json:"streamName,omitempty"`
	Message     string          `json:"message"`
	JSONPayload json.RawMessage `json:"jsonPayload,omitempty"`
}

// ListLogsResponse is entries of a function's log, oldest first.
type ListLogsResponse struct {
	Entries []LogEntry `json:"entries"`
}

func newLogEntry(e host.LogEntry) LogEntry {
	return LogEntry{
		Timestamp: Time(e.Time), FunctionID: e.FunctionID, VersionID: e.VersionID, RequestID: e.RequestID,
		Level: string(e.Level), StreamName: e.StreamName, Message: e.Message, JSONPayload: e.Payload,
	}
}

// maxLogLimit bounds the entries of one answer.
const maxLogLimit = 10_000

// logs serves GET /functions/{functionId}:logs.
func (h *Handler) logs(q *request) (any, error) {
	query := host.LogQuery{
		Function: q.path["functionId"], Version: q.query.Get("versionId"), Contains: q.query.Get("contains"),
		RequestID: q.query.Get("requestId"), MinLevel: host.Level(q.query.Get("minLevel")),
	}
	var err error
	if query.Limit, err = q.number("limit", maxLogLimit); err != nil {
		return nil, err
	}
	for name, at := range map[string]*time.Time{"since": &query.Since, "until": &query.Until} {
		if text := q.query.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return nil, invalid(name, "must be a time as RFC 3339 has it, such as 2026-01-02T15:04:05Z")
			}
		}
	}
	switch q.query.Get("follow") {
	case "", "false":
	case "true":
		return nil, h.follow(q, query)
	default:
		return nil, invalid("follow", "must be true or false")
	}
	entries, err := h.host.Logs(q.Context(), query)
	if err != nil {
		return nil, err
	}
	answer := &ListLogsResponse{Entries: make([]LogEntry, 0, len(entries))}
	for _, e := range entries {
		answer.Entries = append(answer.Entries, newLogEntry(e))
	}
	return answer, nil
}

const (
	// writeTimeout is how long a reader of an endless answer may not read.
	writeTimeout = time.Minute
	// heartbeat is how often an endless answer has at least an empty line, so
	// that nobody between here and the reader takes it for dead.
	heartbeat = 15 * time.Second
)

// follow answers with entries as they come, each a line of JSON, until the
// reader leaves or the server ends. Empty lines mean nothing.
func (h *Handler) follow(q *request, query host.LogQuery) error {
	if _, err := h.host.GetFunction(query.Function); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	revoked := h.host.Keys().Revoked(q.principal)
	entries := make(chan host.LogEntry)
	ended := make(chan error, 1)
	go func() {
		ended <- h.host.FollowLogs(ctx, query, func(e host.LogEntry) error {
			select {
			case entries <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	connection := http.NewResponseController(q.w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	started := false
	write := func(line []byte) error {
		if !started {
			q.w.Header().Set("Content-Type", "application/x-ndjson")
			q.w.WriteHeader(http.StatusOK)
			started = true
		}
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder knows none
		if _, err := q.w.Write(append(line, '\n')); err != nil {
			return err
		}
		return connection.Flush()
	}
	// The headers go out at once, or at the first error.
	first := time.After(100 * time.Millisecond)
	for {
		select {
		case <-revoked: // before what else there is
			return nil
		default:
		}
		var line []byte
		select {
		case <-revoked:
			return nil
		case e := <-entries:
			var err error
			if line, err = json.Marshal(newLogEntry(e)); err != nil {
				return err
			}
		case <-first:
		case <-beat.C:
		case err := <-ended:
			if !started {
				return err
			}
			return nil
		case <-h.streams:
			if !started {
				return host.ErrClosed
			}
			return nil
		}
		if write(line) != nil {
			return nil // the reader left
		}
	}
}
