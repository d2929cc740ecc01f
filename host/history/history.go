// Package history keeps what became of calls, so that each can be looked at later and made
// again.
//
// # Vocabulary
//
//   - Call: what is kept of one call: its event and answer, what it took, and what it
//     had to do with the network. Its log lines are in package logs, under its request id.
//   - Text: an event or an answer as it is kept: without what is redacted, cut when it is
//     long.
//   - Policy: what a function's owner says of its history: nothing is to be kept, or which
//     names are to be redacted besides the usual ones.
//
// # The way of a call
//
//	History.Add    hands the call over; whoever made it does not wait (history.go)
//	redact         takes out what must not be kept (redact.go)
//	logs.Journal   stores it, within the bounds of its function and its tenant
//	History.List   reads the newest
//
// A function's environment, its secrets and the token of its service account are no part
// of an event, and so of nothing here, unless the function itself answers with them.
package history

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// Bounds of what is kept. The tenant's quota of callBytes, the store's bound of all
// calls, and its bound of their age hold besides.
const (
	// MaxText is how many bytes of an event or an answer are kept; of a longer one there
	// is only the beginning, of CutText bytes. The event of a call over HTTP is a document
	// in which the body may have as many.
	MaxText = 64 << 10
	CutText = 4 << 10
	// MaxCalls is how many calls of a function are listed; that many are kept at least,
	// unless their bytes, MaxBytes, are too many.
	MaxCalls = 1000
	MaxBytes = 16 << 20
)

const (
	maxDocument = 2 * MaxText           // of the event of a call over HTTP, with its headers, in bytes
	pause       = 20 * time.Millisecond // between a call and its recording
	interval    = 200 * time.Millisecond
	maxLine     = store.MaxReadAhead / 2 // bytes, as of a batch
	statusOK    = 200                    // of HTTP
	maxError    = 256                    // bytes of an error's type

	// What may wait to be redacted and stored, in bytes: of all tenants, and of one.
	maxWaiting   = 32 << 20
	maxWaitingOf = maxWaiting / 4
	callBytes    = 512 // counted per call besides its texts
)

// Policy is what a function's owner says of its history. The zero value keeps calls.
type Policy struct {
	Off    bool     `json:"off,omitempty"`
	Redact []string `json:"redact,omitempty"` // names of headers and fields, besides the usual ones
}

// maxRedact is how many names a function may have redacted.
const maxRedact = 64

// Validate checks a policy.
//
// # Errors
//
// *fault.InvalidError.
func (p Policy) Validate() error {
	if len(p.Redact) > maxRedact {
		return fault.Invalidf("redact", "there are %d names, at most %d are allowed", len(p.Redact), maxRedact)
	}
	for _, name := range p.Redact {
		if plainName(name) == "" || len(name) > longestName || !utf8.ValidString(name) {
			return fault.Invalidf("redact", "%.80q must be the name of a header or a field, UTF-8 text of at most %d bytes", name, longestName)
		}
	}
	return nil
}

// Config tells New where calls go.
type Config struct {
	Store  *store.Store // must stay open until the history is closed
	Ledger *quota.Ledger
	Log    *slog.Logger // receives what only the operator can fix
	// Policy returns that of a function; it must be quick.
	Policy func(functionID string) Policy
	// Redact are names of headers and fields that are redacted in all calls, besides
	// the usual ones.
	Redact []string
	// Off keeps no calls at all.
	Off bool
}

// History keeps calls: those of stored functions in the store, those of transient ones in
// memory. No call waits for it. Safe for concurrent use.
type History struct {
	cfg       Config
	usual     names
	stored    *logs.Journal
	transient *logs.Journal
	memory    *store.Store // transient's
	dropped   atomic.Int64 // calls that did not fit into what may wait

	mu      sync.Mutex // guards all below; nothing blocks under it
	waiting []Made
	sizes   map[string]int // bytes in waiting and in work, by tenant
	size    int            // of all tenants

	wake    chan struct{}        // of capacity 1: something waits
	flushes chan chan<- struct{} // who wants all that waits to be in the journals
	ended   context.Context      // when Close begins
	end     context.CancelFunc
	working sync.WaitGroup
}

// New returns a history. Close it.
func New(cfg Config) *History {
	h := &History{
		cfg: cfg, usual: newNames(append(usualNames(), cfg.Redact...)), memory: store.Memory(store.Config{Log: cfg.Log}),
		sizes: map[string]int{}, wake: make(chan struct{}, 1), flushes: make(chan chan<- struct{}),
	}
	journal := logs.JournalConfig{
		Logs: cfg.Store.Calls, Ledger: cfg.Ledger, Quota: quota.CallBytes, Log: cfg.Log, Lines: "calls of the history",
		Interval: interval, LinesOf: MaxCalls, BytesOf: MaxBytes,
	}
	h.stored = logs.NewJournal(journal)
	journal.Logs = h.memory.Calls
	h.transient = logs.NewJournal(journal)
	h.ended, h.end = context.WithCancel(context.Background())
	h.working.Go(h.work)
	return h
}

// Wants reports whether calls of a function are kept. Who asks before a call need not hold
// on to what Add would want of it.
func (h *History) Wants(functionID string) bool {
	return h != nil && !h.cfg.Off && !h.cfg.Policy(functionID).Off
}

// Made is a call that was made, as Add takes it. Its texts are not to be changed any more.
type Made struct {
	Call
	Owner    logs.Owner
	Event    []byte
	Body     int // bytes of a body that is not in the event; 0 when there is none
	Answer   []byte
	Document bool // the event is the JSON document of a call over HTTP
	// Hide, if set, returns values that must be in no text, such as secrets. It is called
	// when the call is recorded.
	Hide func() []string

	redact []string // its function's names, as they were when it was made
}

// size returns the approximate memory of a call, in bytes.
func (m *Made) size() int {
	n := len(m.Event) + len(m.Answer) + callBytes
	for _, c := range m.Connections {
		n += len(c.Target) + len(c.Name) + callBytes/8
	}
	for _, reason := range m.Refused {
		n += len(reason)
	}
	return n
}

// Add keeps a call. It does not block: a call is dropped when too much waits.
func (h *History) Add(m Made) {
	m.cut()
	m.redact = h.cfg.Policy(m.Owner.Function).Redact
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := m.size(); h.size+n > maxWaiting || h.sizes[m.Owner.Tenant]+n > maxWaitingOf {
		h.dropped.Add(1)
		return
	}
	h.size += m.size()
	h.sizes[m.Owner.Tenant] += m.size()
	h.waiting = append(h.waiting, m)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// cut cuts the texts to what is kept of them.
func (m *Made) cut() {
	m.Call.Event.Bytes, m.Call.Answer.Bytes = len(m.Event)+m.Body, len(m.Answer)
	most := MaxText
	if m.Document {
		most = maxDocument
	}
	m.Event, m.Call.Event.Cut = cut(m.Event, most)
	m.Call.Event.Cut = m.Call.Event.Cut || m.Body > 0
	m.Answer, m.Call.Answer.Cut = cut(m.Answer, MaxText)
	m.Error, _ = cutText(m.Error, maxError)
}

// cutText returns the beginning of a text, and no part of a character.
func cutText(text string, most int) (string, bool) {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\ufffd"), false
	}
	return strings.ToValidUTF8(text[:most], ""), true
}

// cut returns a text, or a copy of its beginning if it is longer than it may be: the rest
// is not to stay in memory.
func cut(text []byte, most int) ([]byte, bool) {
	if len(text) <= most {
		return text, false
	}
	return bytes.Clone(text[:CutText]), true
}

// work puts the calls that wait into the journals, until Close, and then the rest.
func (h *History) work() {
	for {
		var flushed chan<- struct{}
		select {
		case <-h.wake:
			// Not with each call: whoever serves them has better things to do meanwhile.
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case flushed = <-h.flushes:
			case <-h.ended.Done():
			}
			timer.Stop()
		case flushed = <-h.flushes:
		case <-h.ended.Done():
			h.record()
			return
		}
		h.record()
		if flushed != nil {
			close(flushed)
		}
	}
}

// record puts all calls that wait into the journals.
func (h *History) record() {
	h.mu.Lock()
	waiting := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	for i := range waiting {
		m := &waiting[i]
		h.store(m.Owner, h.call(m))
		h.mu.Lock()
		h.size -= m.size()
		if h.sizes[m.Owner.Tenant] -= m.size(); h.sizes[m.Owner.Tenant] == 0 {
			delete(h.sizes, m.Owner.Tenant)
		}
		h.mu.Unlock()
		*m = Made{} // the others may take a while
	}
}

// store puts a call into its journal.
func (h *History) store(o logs.Owner, c *Call) {
	line := encode(c)
	if len(line) > maxLine { // escapes have made it much longer than its texts were
		short := *c
		for _, t := range []*Text{&short.Event, &short.Answer} {
			t.Text, t.Base64, t.Cut = "", false, true
		}
		line = encode(&short)
	}
	journal, owner := h.of(o)
	journal.AddLine(owner, line)
}

// encode returns a value as a line of JSON. It has no more escapes than JSON needs.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // plain data always encodes
		panic(err)
	}
	return b.Bytes()
}

// Keep keeps a call at once, if those of its function are kept, and returns what is kept of
// it, or would be. It is for who wants to see it.
func (h *History) Keep(m Made) Call {
	m.cut()
	m.redact = h.cfg.Policy(m.Owner.Function).Redact
	c := h.call(&m)
	if h.Wants(m.Owner.Function) {
		h.store(m.Owner, c)
	}
	return *c
}

// call returns what is kept of a call.
func (h *History) call(m *Made) *Call {
	c := &m.Call
	if c.ID == "" {
		c.ID = newID(m.Owner.Function, c.Received.Add(c.Figures.Duration))
	}
	r := redactor{names: h.usual, own: newNames(m.redact)}
	if c.Status == 0 {
		c.Status = statusOf(m)
	}
	hidden := newHidden(m.Hide)
	c.Event.fill(hidden.hide(r.redact(m.Event), c.Event.Cut))
	c.Event.Redacted = r.take()
	c.Answer.fill(hidden.hide(r.redact(m.Answer), c.Answer.Cut))
	c.Answer.Redacted = r.take()
	return c
}

// statusOf returns the status of a response that nobody has interpreted.
func statusOf(m *Made) int {
	var answer struct {
		StatusCode int `json:"statusCode"`
	}
	if m.Document && json.Unmarshal(m.Answer, &answer) == nil && answer.StatusCode > 0 {
		return answer.StatusCode
	}
	return statusOK
}

// of returns the journal that has a function's calls, and how that knows the function.
func (h *History) of(o logs.Owner) (*logs.Journal, logs.Owner) {
	if o.Transient {
		return h.transient, logs.Owner{Tenant: o.Tenant, Function: o.Function}
	}
	return h.stored, o
}

// Dropped returns how many calls were not kept since the start because too much waited.
func (h *History) Dropped() int64 {
	return h.dropped.Load() + h.stored.Missed() + h.transient.Missed()
}

// Load takes stock of the store's calls.
//
// # Errors
//
// fault.ErrUnavailable.
func (h *History) Load(ctx context.Context, tenantOf func(functionID string) string) error {
	return h.stored.Load(ctx, tenantOf)
}

// Kept returns the bytes that a tenant's calls have.
func (h *History) Kept(tenant string) int64 { return h.stored.Kept(tenant) + h.transient.Kept(tenant) }

// Drop removes the calls of a function that is being deleted.
//
// # Errors
//
// fault.ErrUnavailable.
func (h *History) Drop(ctx context.Context, o logs.Owner) error {
	journal, owner := h.of(o)
	h.flush(ctx)
	journal.Flush(ctx) // what came later would be left
	return journal.Drop(ctx, owner)
}

// Forget forgets the calls of a function that another process has deleted.
func (h *History) Forget(tenant, functionID string) { h.stored.Forget(tenant, functionID) }

// flush waits until the calls that were added before are in the journals.
func (h *History) flush(ctx context.Context) {
	done := make(chan struct{})
	select {
	case h.flushes <- done:
	case <-h.ended.Done():
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-h.ended.Done():
	case <-ctx.Done():
	}
}

// Close stores what is left. Nothing may be added afterwards.
func (h *History) Close() {
	h.end()
	h.working.Wait()
	h.stored.Close()
	h.transient.Close()
	h.memory.Close()
}
