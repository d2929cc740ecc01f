package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vivarium/host/run"
)

// Session is an instance that stays, and runs one snippet after the other.
type Session struct {
	ID               string     `json:"id"`
	FolderID         string     `json:"folderId"`
	ParentID         string     `json:"parentId,omitempty" doc:"The session that it was forked from."`
	Runtime          string     `json:"runtime"`
	Resources        *Resources `json:"resources"`
	AllowNet         string     `json:"allowNet,omitempty"`
	ExecutionTimeout Duration   `json:"executionTimeout" doc:"Of a snippet that names none."`
	IdleTimeout      Duration   `json:"idleTimeout"`
	Lifetime         Duration   `json:"lifetime"`
	CreatedAt        Time       `json:"createdAt"`
	UsedAt           Time       `json:"usedAt"`
	EndsAt           Time       `json:"endsAt" doc:"When it ends unless it is used before."`
	Running          bool       `json:"running" doc:"A snippet runs."`
	Snippets         int        `json:"snippets" doc:"How many were run, in those that it was forked from too."`
	MemoryUsed       Int64      `json:"memoryUsed"`
}

// CreateSessionRequest is the body of POST /sessions.
type CreateSessionRequest struct {
	Runtime          string            `json:"runtime" doc:"Default: that of new functions."`
	Resources        *Resources        `json:"resources" doc:"Default: 128 MiB."`
	Environment      map[string]string `json:"environment"`
	AllowNet         string            `json:"allowNet" doc:"What it may reach, as in a version. Default: nothing."`
	ExecutionTimeout Duration          `json:"executionTimeout" doc:"Of a snippet that names none. Default: 10s."`
	IdleTimeout      Duration          `json:"idleTimeout" doc:"It ends when it was not used for so long: 1s to 3600s. Default: 600s."`
	Lifetime         Duration          `json:"lifetime" doc:"It ends so long after it began: 1s to 86400s. Default: 3600s."`
}

// RunSnippetRequest is the body of POST /sessions/{sessionId}:run.
type RunSnippetRequest struct {
	Code             string        `json:"code" doc:"Python. The value of an expression at its end is shown, as in a notebook."`
	ExecutionTimeout Duration      `json:"executionTimeout" doc:"At most 600s; a snippet that takes longer ends its session. Default: the session's."`
	Files            []SessionFile `json:"files" doc:"To write before it runs, at most 100 with 4 MiB in all."`
	Outputs          []string      `json:"outputs" doc:"Paths of files to answer with, at most 100 with 4 MiB in all."`
}

// RunCodeRequest is the body of POST /sessions:run.
type RunCodeRequest struct {
	Code             string               `json:"code" doc:"Python. The value of an expression at its end is shown, as in a notebook."`
	ExecutionTimeout Duration             `json:"executionTimeout" doc:"At most 600s. Default: 10s."`
	Files            []SessionFile        `json:"files" doc:"To write before it runs, at most 100 with 4 MiB in all."`
	Outputs          []string             `json:"outputs" doc:"Paths of files to answer with, at most 100 with 4 MiB in all."`
	Session          CreateSessionRequest `json:"session" doc:"What the session may have that is made for it."`
}

// SessionFile is a file of a session.
type SessionFile struct {
	Path    string `json:"path" doc:"Relative paths are below /tmp, the working directory."`
	Content []byte `json:"content"`
	Error   string `json:"error,omitempty" doc:"In an answer: why there is no content."`
}

// SnippetResult is what became of a snippet.
type SnippetResult struct {
	SessionID       string           `json:"sessionId"`
	Number          int              `json:"number" doc:"Of the snippet in its session, from 1."`
	Outcome         string           `json:"outcome" doc:"ok; error: an exception, the session stays as it is; ended: the session has ended, see error."`
	Output          []SnippetOutput  `json:"output"`
	OutputTruncated bool             `json:"outputTruncated,omitempty" doc:"It printed more than 256 KiB."`
	Displays        []SnippetDisplay `json:"displays"`
	ExitCode        *int             `json:"exitCode,omitempty" doc:"Of a script that ended itself with sys.exit."`
	Error           *SnippetError    `json:"error,omitempty"`
	Files           []SessionFile    `json:"files,omitempty" doc:"Those that outputs names."`
	Figures         SnippetFigures   `json:"figures"`
}

// SnippetOutput is what a snippet printed to one stream without a break.
type SnippetOutput struct {
	Stream string `json:"stream" doc:"stdout or stderr."`
	Text   string `json:"text"`
}

// SnippetDisplay is something that a snippet showed.
type SnippetDisplay struct {
	Data   map[string]json.RawMessage `json:"data" doc:"By media type: text, base64 of what is none, or the value of JSON."`
	Result bool                       `json:"result" doc:"It is the value of the last expression."`
}

// SnippetError is why a snippet failed, or its session ended.
type SnippetError struct {
	Type       string   `json:"errorType"`
	Message    string   `json:"errorMessage"`
	StackTrace []string `json:"stackTrace"`
	Traceback  string   `json:"traceback,omitempty" doc:"All of it, with the exceptions that it is chained to."`
}

// SnippetFigures is what a snippet took.
type SnippetFigures struct {
	DurationMS float64 `json:"durationMS"`
	CPUMS      float64 `json:"cpuMS"`
	PeakMemory Int64   `json:"peakMemory" doc:"Bytes, of the session."`
}

// ListSessionsResponse is sessions, oldest first.
type ListSessionsResponse struct {
	Sessions      []Session `json:"sessions"`
	NextPageToken string    `json:"nextPageToken,omitempty"`
}

// Empty is an answer that says nothing but that it is done.
type Empty struct{}

// file is the body of a request, or of an answer, that is a file.
type file []byte

// maxRunBody bounds the body of a request that runs code: files in base64, and code in
// JSON, all of which may be escaped.
const maxRunBody = maxBody + run.MaxSnippetFileBytes/3*4 + 2*run.MaxSnippetCode

func newSession(s run.SessionInfo) Session {
	return Session{
		ID: s.ID, FolderID: s.Tenant, ParentID: s.Parent, Runtime: s.Spec.Runtime, Resources: &Resources{Int64(s.Spec.MemoryMB) << 20},
		AllowNet: s.Spec.AllowNet, ExecutionTimeout: Duration(s.Spec.Timeout), IdleTimeout: Duration(s.Spec.Idle),
		Lifetime: Duration(s.Spec.Lifetime), CreatedAt: Time(s.Created), UsedAt: Time(s.Used), EndsAt: Time(s.Ends()),
		Running: s.Running, Snippets: s.Snippets, MemoryUsed: Int64(s.Memory),
	}
}

// spec is what a request says of a session.
func (r *CreateSessionRequest) spec() (run.SessionSpec, error) {
	s := run.SessionSpec{
		Runtime: r.Runtime, Environment: r.Environment, AllowNet: r.AllowNet,
		Timeout: time.Duration(r.ExecutionTimeout), Idle: time.Duration(r.IdleTimeout), Lifetime: time.Duration(r.Lifetime),
	}
	if r.Resources != nil {
		memory := r.Resources.Memory
		if memory%(1<<20) != 0 || memory < 0 || memory>>20 > 1<<20 {
			return s, invalid("resources.memory", strconv.FormatInt(int64(memory), 10)+" bytes must be a multiple of 128 MiB, at least 134217728")
		}
		s.MemoryMB = int(memory >> 20)
	}
	return s, nil
}

// snippet is what a request asks to be run.
func (r *RunSnippetRequest) snippet(q *request) (run.Snippet, error) {
	s := run.Snippet{
		Code: r.Code, Timeout: time.Duration(r.ExecutionTimeout), RequestID: q.w.Header().Get("X-Request-Id"),
		Files: make(map[string][]byte, len(r.Files)), Outputs: r.Outputs,
	}
	if n := len(r.Code); n > run.MaxSnippetCode {
		return s, invalid("code", fmt.Sprintf("has %d bytes, at most %d are allowed; write the rest to files", n, run.MaxSnippetCode))
	}
	for i, f := range r.Files {
		field := "files[" + strconv.Itoa(i) + "]"
		if f.Error != "" {
			return s, invalid(field+".error", "is of answers alone")
		}
		if _, twice := s.Files[f.Path]; twice {
			return s, invalid(field+".path", "is there twice")
		}
		s.Files[f.Path] = f.Content
	}
	return s, nil
}

func (h *Handler) listSessions(q *request) (any, error) {
	all, err := h.host.Sessions().List(q.principal)
	if err != nil {
		return nil, err
	}
	all, next, err := page(q, all, func(s run.SessionInfo) string { return s.Created.UTC().Format("20060102150405.000000000") + s.ID })
	if err != nil {
		return nil, err
	}
	answer := &ListSessionsResponse{Sessions: []Session{}, NextPageToken: next}
	for _, s := range all {
		answer.Sessions = append(answer.Sessions, newSession(s))
	}
	return answer, nil
}

func (h *Handler) createSession(q *request) (any, error) {
	spec, err := q.body.(*CreateSessionRequest).spec()
	if err != nil {
		return nil, err
	}
	return session(h.host.Sessions().Create(q.Context(), q.principal, spec))
}

func (h *Handler) getSession(q *request) (any, error) {
	return session(h.host.Sessions().Get(q.principal, q.path["sessionId"]))
}

func (h *Handler) forkSession(q *request) (any, error) {
	return session(h.host.Sessions().Fork(q.Context(), q.principal, q.path["sessionId"]))
}

// session is the answer that is a session.
func session(s run.SessionInfo, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	answer := newSession(s)
	return &answer, nil
}

func (h *Handler) endSession(q *request) (any, error) {
	return &Empty{}, h.host.Sessions().End(q.principal, q.path["sessionId"])
}

func (h *Handler) interruptSession(q *request) (any, error) {
	return &Empty{}, h.host.Sessions().Interrupt(q.principal, q.path["sessionId"])
}

func (h *Handler) runSnippet(q *request) (any, error) {
	return h.runIn(q, q.path["sessionId"], q.body.(*RunSnippetRequest))
}

// runCode runs code in a session that is made for it, and ends with it.
func (h *Handler) runCode(q *request) (any, error) {
	body := q.body.(*RunCodeRequest)
	spec, err := body.Session.spec()
	if err != nil {
		return nil, err
	}
	s, err := h.host.Sessions().Create(q.Context(), q.principal, spec)
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.host.Sessions().End(q.principal, s.ID) }() // it may have ended by itself
	return h.runIn(q, s.ID, &RunSnippetRequest{body.Code, body.ExecutionTimeout, body.Files, body.Outputs})
}

func (h *Handler) runIn(q *request, id string, body *RunSnippetRequest) (any, error) {
	snippet, err := body.snippet(q)
	if err != nil {
		return nil, err
	}
	r, err := h.host.Sessions().Run(q.Context(), q.principal, id, snippet)
	if err != nil {
		return nil, err
	}
	defer r.Release() // what it is encoded to is counted, too
	answer := &SnippetResult{
		SessionID: id, Number: r.Number, Outcome: r.Outcome, Output: []SnippetOutput{}, OutputTruncated: r.Cut,
		Displays: []SnippetDisplay{}, ExitCode: r.ExitCode,
		Figures: SnippetFigures{milliseconds(r.Figures.Duration), milliseconds(r.Figures.CPU), Int64(r.Figures.PeakMemory)},
	}
	for _, o := range r.Output {
		answer.Output = append(answer.Output, SnippetOutput(o))
	}
	for _, d := range r.Displays {
		answer.Displays = append(answer.Displays, SnippetDisplay(d))
	}
	for _, f := range r.Files {
		answer.Files = append(answer.Files, SessionFile{f.Path, f.Content, f.Problem})
	}
	if e := r.Error; e != nil {
		answer.Error = &SnippetError{e.Type, e.Message, e.StackTrace, r.Traceback}
		if e.StackTrace == nil {
			answer.Error.StackTrace = []string{}
		}
	}
	return answer, nil
}

func (h *Handler) writeSessionFile(q *request) (any, error) {
	content := q.body.(*file)
	return &Empty{}, h.host.Sessions().WriteFile(q.Context(), q.principal, q.path["sessionId"], q.query.Get("path"), *content)
}

func (h *Handler) readSessionFile(q *request) (any, error) {
	done, err := h.desk.Turn(q.Request)
	if err != nil {
		return nil, err
	}
	content, give, err := h.host.Sessions().ReadFile(q.Context(), q.principal, q.path["sessionId"], q.query.Get("path"))
	done()
	if err != nil {
		return nil, err
	}
	defer give() // for as long as the reader takes
	header := q.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.Itoa(len(content)))
	header.Set("Content-Disposition", "attachment")
	q.w.WriteHeader(http.StatusOK)
	// The server allows less time for answers, which are smaller elsewhere.
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(transferTimeout)) // a recorder knows none
	_, _ = q.w.Write(content)                                                             // who went away needs no answer
	return nil, nil
}
