package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vivarium/host/fault"
	"vivarium/host/paced"
	"vivarium/host/quota"
	"vivarium/wasm"
)

// Limits of snippets and of what they answer.
const (
	MaxSnippetCode    = 1 << 20          // bytes
	MaxSnippetTimeout = 10 * time.Minute // of one snippet
	MaxSnippetOutput  = 256 << 10        // bytes that it prints
	// maxSnippetAnswer bounds the runtime's answer, in bytes: what it displays is less.
	maxSnippetAnswer = 8 << 20
	// outputPieces bounds the changes between stdout and stderr that are told.
	outputPieces = 1000
)

// Snippet is code to run in a session.
type Snippet struct {
	Code      string
	Timeout   time.Duration // 0 means the session's
	RequestID string
	// Files are written before it runs, by path.
	Files map[string][]byte
	// Outputs are paths of files to answer with.
	Outputs []string
}

// Outcomes of snippets.
const (
	SnippetOK = "ok"
	// SnippetError means an exception, which leaves the session as it is.
	SnippetError = "error"
	// SnippetEnded means that the session has ended, and all that was in it is gone.
	SnippetEnded = "ended"
)

// SnippetResult is what became of a snippet.
type SnippetResult struct {
	Number   int // counts from 1
	Outcome  string
	Output   []Output
	Cut      bool // there was more output
	Displays []Display
	ExitCode *int // of a script that ended itself
	// Error is the exception, or why the session has ended; nil where all went well.
	Error     *fault.FunctionError
	Traceback string // of an exception
	Files     []SnippetFile
	Figures   Figures

	size int64 // bytes of memory that the tenant has taken for it
	give func()
}

// Release gives back the memory that the tenant has taken for the result. Call it once,
// when the result is not needed any more.
func (r *SnippetResult) Release() {
	if r.give != nil {
		r.give()
	}
}

// Output is what a snippet printed to a stream without a break.
type Output struct {
	Stream string // stdout or stderr
	Text   string
}

// Display is something that a snippet showed: by the media type, text, base64 of what
// is none, or the value that JSON expresses.
type Display struct {
	Data   map[string]json.RawMessage `json:"data"`
	Result bool                       `json:"result"` // the value of its last expression
}

// snippetAnswer is what the runtime answers.
type snippetAnswer struct {
	Displays []Display     `json:"displays"`
	ExitCode *int          `json:"exitCode"`
	Error    *snippetError `json:"error"`
}

type snippetError struct {
	Type       string   `json:"errorType"`
	Message    string   `json:"errorMessage"`
	StackTrace []string `json:"stackTrace"`
	Traceback  string   `json:"traceback"`
}

// Run runs a snippet in a session and blocks until it is done. When ctx ends, it is
// interrupted. An exception is a result, and so is the end of the session: a snippet that
// exceeds its time or its memory takes that with it. Release the result.
//
// # Errors
//
// *fault.InvalidError, *fault.NotFoundError, *fault.ConflictError while another one
// runs, *quota.Error, fault.ErrCancelled; anything else is the platform's own fault, and
// ends the session.
func (s *Sessions) Run(ctx context.Context, tenant, id string, snippet Snippet) (*SnippetResult, error) {
	if err := snippet.validate(); err != nil {
		return nil, err
	}
	n, err := s.find(tenant, id)
	if err != nil {
		return nil, err
	}
	if err := s.enter(ctx, n); err != nil {
		return nil, err
	}
	defer s.leave(n)
	return s.run(ctx, n, snippet)
}

func (s Snippet) validate() error {
	switch {
	case len(s.Code) > MaxSnippetCode:
		return fault.Invalidf("snippet", "has %d bytes, at most %d are allowed; write the rest to files", len(s.Code), MaxSnippetCode)
	case !utf8.ValidString(s.Code):
		return fault.Invalidf("snippet", "must be UTF-8 text")
	case len(s.Outputs) > MaxSnippetFiles:
		return fault.Invalidf("outputs", "there are %d, at most %d are allowed", len(s.Outputs), MaxSnippetFiles)
	case s.Timeout < 0 || s.Timeout > MaxSnippetTimeout:
		return fault.Invalidf("execution_timeout", "%s must be at most %s", s.Timeout, MaxSnippetTimeout)
	}
	return nil
}

// run is Run for who has the session's place.
func (s *Sessions) run(ctx context.Context, n *session, snippet Snippet) (*SnippetResult, error) {
	if err := s.r.room.ledger.Take(n.tenant, quota.Call, 1); err != nil {
		return nil, err
	}
	defer s.r.room.ledger.Give(n.tenant, quota.Call, 1)
	n.thaw()
	if err := n.writeFiles(snippet.Files); err != nil {
		return nil, err
	}
	result, err := s.execute(ctx, n, snippet)
	if err != nil || result.Outcome == SnippetEnded {
		s.end(n)
	}
	if err != nil || result.Outcome == SnippetEnded {
		return result, err
	}
	if err := s.r.room.ledger.Take(n.tenant, quota.Body, result.size); err != nil {
		return nil, err
	}
	result.give = func() { s.r.room.ledger.Give(n.tenant, quota.Body, result.size) }
	result.Files = n.readOutputs(snippet.Outputs, func(size int64) error {
		err := s.r.room.ledger.Take(n.tenant, quota.Body, size)
		if err == nil {
			result.size += size
		}
		return err
	})
	return result, nil
}

// execute lets the guest run a snippet.
func (s *Sessions) execute(ctx context.Context, n *session, snippet Snippet) (*SnippetResult, error) {
	began := time.Now()
	if snippet.Timeout == 0 {
		snippet.Timeout = n.spec.Timeout
	}
	deadline := began.Add(snippet.Timeout)
	if end := n.created.Add(n.spec.Lifetime); end.Before(deadline) {
		deadline = end
	}
	running, cancel := context.WithCancel(context.Background()) // until stop
	result := &SnippetResult{Outcome: SnippetOK, Number: n.start(running, cancel)}
	defer n.stop(cancel)
	defer context.AfterFunc(ctx, n.interruptNow)()

	out := &snippetOutput{left: MaxSnippetOutput}
	var answer snippetAnswer
	var failure error
	response, err := n.guest.Invoke(running, wasm.Call{
		Stdout: out.stream("stdout"), Stderr: out.stream("stderr"), Deadline: deadline, Turn: s.r.scheduler.turn(n.tenant, n.id),
		Prepare: func(work paced.Work) []byte { return n.request(snippet, result.Number, deadline, work) },
		Finish: func(r *wasm.Response, err error, work paced.Work) {
			if err == nil {
				failure = answer.read(r, work)
			}
		},
	})
	n.begun, n.restored = true, false
	for _, refused := range endNetwork(n.guest) {
		s.r.metrics.refusals.Add(1)
		_, _ = io.WriteString(out.stream("stderr"), "Network: "+refused+"\n")
	}
	result.Output, result.Cut = out.told(), out.cut
	result.Figures = Figures{Duration: time.Since(began), CPU: n.guest.CPUTime(), PeakMemory: n.guest.MemorySize()}
	if err != nil {
		return n.ended(ctx, result, snippet.Timeout, s.r.reporter.blame(n.v, "", err))
	}
	if failure != nil || !n.guest.Usable() {
		result.endedBy(&fault.FunctionError{Type: "RuntimeExit", Message: "the interpreter can't go on: the code has broken its runtime"})
		return result, nil
	}
	answer.tell(result)
	result.size = response.Size
	return result, nil
}

// start notes that a snippet runs as long as running has not ended, and returns its
// number. Cancel ends it.
func (n *session) start(running context.Context, cancel func()) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = true
	n.snippets++
	var once sync.Once
	n.interrupt = func() { once.Do(func() { go n.insist(running, cancel) }) }
	if n.hasEnded() { // while it waited to begin
		cancel()
	}
	return n.snippets
}

// insist interrupts the snippet again and again, in case it had not begun, until it is
// over or patience is.
func (n *session) insist(running context.Context, cancel func()) {
	patience := time.NewTimer(interruptPatience)
	defer patience.Stop()
	again := time.NewTicker(interruptPatience / 4)
	defer again.Stop()
	for {
		n.mu.Lock()
		if running.Err() == nil { // else the next snippet would be meant
			n.guest.Interrupt()
		}
		n.mu.Unlock()
		select {
		case <-again.C:
		case <-patience.C:
			cancel()
			return
		case <-running.Done():
			return
		}
	}
}

// stop notes that no snippet runs.
func (n *session) stop(cancel func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cancel()
	n.running, n.interrupt = false, nil
	n.guest.DropInterrupt() // it came too late
}

// interruptNow interrupts the snippet that runs, if one does.
func (n *session) interruptNow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.interrupt != nil {
		n.interrupt()
	}
}

// Interrupt raises KeyboardInterrupt in the snippet that runs. If that does not end it in
// two seconds, the session ends. It does not wait for that, and without a snippet it does
// nothing.
//
// # Errors
//
// *fault.NotFoundError.
func (s *Sessions) Interrupt(tenant, id string) error {
	n, err := s.find(tenant, id)
	if err == nil {
		n.interruptNow()
	}
	return err
}

// ended says why a snippet has ended its session.
func (n *session) ended(ctx context.Context, result *SnippetResult, timeout time.Duration, err error) (*SnippetResult, error) {
	function, ok := errors.AsType[*fault.FunctionError](err)
	switch {
	case ok && function.TimedOut:
		function.Message = fmt.Sprintf("the snippet took more than %s, and has ended its session", timeout)
		if !time.Now().Before(n.created.Add(n.spec.Lifetime)) {
			function.Message = fmt.Sprintf("the session has ended: it may last for %s", n.spec.Lifetime)
		}
	case ok:
		function.Message += "; the session has ended"
	case errors.Is(err, fault.ErrCancelled) && ctx.Err() == nil:
		function = &fault.FunctionError{Type: "Interrupted", Message: "the snippet went on when it was interrupted, and has ended its session"}
	default:
		return nil, err
	}
	result.endedBy(function)
	return result, nil
}

func (r *SnippetResult) endedBy(why *fault.FunctionError) { r.Outcome, r.Error = SnippetEnded, why }

// request is the document that the runtime gets.
func (n *session) request(snippet Snippet, number int, deadline time.Time, work paced.Work) []byte {
	event := struct {
		Number      int               `json:"number"`
		Code        string            `json:"code"`
		Begin       bool              `json:"begin"`
		Environment map[string]string `json:"environment"`
	}{number, snippet.Code, !n.begun, n.spec.Environment}
	body, err := json.Marshal(event)
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	work(len(body))
	return n.v.invokeRequest(Invocation{RequestID: snippet.RequestID, Raw: true, Body: body}, nil, deadline, n.restored, work)
}

// read reads the runtime's response, which the code it ran can have forged.
func (a *snippetAnswer) read(r *wasm.Response, work paced.Work) error {
	if r.Size > maxSnippetAnswer {
		return fmt.Errorf("run: a session's guest gave a response of %d bytes", r.Size)
	}
	work(len(r.Body))
	switch r.Kind {
	case responseJSON:
		return json.Unmarshal(r.Body, a)
	case responseError: // what the snippet showed has no JSON, or there was no memory for it
		return json.Unmarshal(r.Body, &a.Error)
	}
	return fmt.Errorf("run: a session's guest gave a response of kind %d", r.Kind)
}

// tell says in a result what the runtime answered.
func (a *snippetAnswer) tell(result *SnippetResult) {
	for _, d := range a.Displays {
		if len(d.Data) > 0 {
			result.Displays = append(result.Displays, d)
		}
	}
	result.ExitCode = a.ExitCode
	switch {
	case a.Error != nil:
		result.Outcome, result.Traceback = SnippetError, a.Error.Traceback
		result.Error = &fault.FunctionError{Type: a.Error.Type, Message: a.Error.Message, StackTrace: a.Error.StackTrace}
	case a.ExitCode != nil && *a.ExitCode != 0:
		result.Outcome = SnippetError
		result.Error = &fault.FunctionError{Type: "SystemExit", Message: fmt.Sprintf("the script ended with exit code %d", *a.ExitCode)}
	}
}

// snippetOutput keeps what a snippet prints, in order, within a limit.
type snippetOutput struct {
	pieces []*outputPiece
	left   int // bytes
	cut    bool
}

type outputPiece struct {
	stream string
	text   strings.Builder
}

// told returns what was printed.
func (o *snippetOutput) told() []Output {
	all := make([]Output, 0, len(o.pieces))
	for _, p := range o.pieces {
		all = append(all, Output{p.stream, p.text.String()})
	}
	return all
}

// stream returns the writer of one stream.
func (o *snippetOutput) stream(name string) io.Writer { return &snippetStream{o, name} }

type snippetStream struct {
	to   *snippetOutput
	name string
}

// Write implements io.Writer. It never fails.
func (s *snippetStream) Write(p []byte) (int, error) {
	o := s.to
	text := p[:min(len(p), o.left)]
	last := len(o.pieces) - 1
	if len(text) > 0 && (last < 0 || o.pieces[last].stream != s.name) {
		if last++; last == outputPieces {
			text = nil
		} else {
			o.pieces = append(o.pieces, &outputPiece{stream: s.name})
		}
	}
	if len(text) > 0 {
		o.pieces[last].text.Write(text)
	}
	o.left -= len(text)
	o.cut = o.cut || len(text) < len(p)
	return len(p), nil
}
