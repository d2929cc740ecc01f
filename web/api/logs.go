package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"vivarium/host/fault"
	"vivarium/host/logs"
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
	Entries   []LogEntry `json:"entries"`
	Truncated bool       `json:"truncated,omitempty" doc:"Older entries were left out, since there are more than 16 MiB; ask for those until the first one's time."`
}

func newLogEntry(e logs.Entry) LogEntry {
	return LogEntry{
		Timestamp: Time(e.Time), FunctionID: e.FunctionID, VersionID: e.VersionID, RequestID: e.RequestID,
		Level: string(e.Level), StreamName: e.StreamName, Message: e.Message, JSONPayload: e.Payload,
	}
}

// maxLogLimit bounds the entries of one answer.
const maxLogLimit = 10_000

// logs serves GET /functions/{functionId}:logs.
func (h *Handler) logs(q *request) (any, error) {
	query := logs.Query{
		Version: q.query.Get("versionId"), Contains: q.query.Get("contains"),
		RequestID: q.query.Get("requestId"), MinLevel: logs.Level(q.query.Get("minLevel")),
	}
	var err error
	if query.Limit, err = q.number("limit", maxLogLimit); err != nil {
		return nil, err
	}
	for name, at := range map[string]*time.Time{"since": &query.Since, "until": &query.Until} {
		if *at, err = q.moment(name); err != nil {
			return nil, err
		}
	}
	follow, err := q.flag("follow")
	if err != nil {
		return nil, err
	}
	if follow {
		return nil, h.follow(q, query)
	}
	return nil, h.host.ReadLogs(q.Context(), q.principal, q.path["functionId"], query, func(entries []logs.Entry, cut bool) error {
		q.writeLogs(entries, cut)
		return nil
	})
}

// writeLogs answers with a ListLogsResponse, entry by entry: as JSON it can be
// several times as long as it is in memory.
func (q *request) writeLogs(entries []logs.Entry, cut bool) {
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(http.StatusOK)
	// The server allows less time for answers, which are smaller elsewhere.
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(transferTimeout)) // a recorder knows none
	w := bufio.NewWriterSize(q.w, 32<<10)
	_, _ = w.WriteString(`{"entries":[`)
	for i, e := range entries {
		text, err := json.Marshal(newLogEntry(e))
		if err != nil { // all entries are ours and can be encoded
			panic(errors.Join(errors.New("api: log entry"), err))
		}
		if i > 0 {
			text = append([]byte{','}, text...)
		}
		if _, err := w.Write(text); err != nil {
			return // the reader left
		}
	}
	end := "]}\n"
	if cut {
		end = "],\"truncated\":true}\n"
	}
	_, _ = w.WriteString(end)
	_ = w.Flush()
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
func (h *Handler) follow(q *request, query logs.Query) error {
	function := q.path["functionId"]
	if _, err := h.host.Catalog().Function(q.principal, function); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	revoked := h.host.Keys().Revoked(q.principal)
	entries := make(chan logs.Entry)
	ended := make(chan error, 1)
	go func() {
		ended <- h.host.FollowLogs(ctx, q.principal, function, query, func(e logs.Entry) error {
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
				return fault.ErrClosed
			}
			return nil
		}
		if write(line) != nil {
			return nil // the reader left
		}
	}
}
