package mcp

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"vivarium/web/api"
)

// What a model is shown of a snippet, in bytes.
const (
	maxOutput    = 32 << 10
	maxResult    = 16 << 10
	maxTraceback = 8 << 10
	maxDisplay   = 64 << 10 // of all that is text
	maxImage     = 1 << 20  // of one, in base64
	maxImages    = 8
	maxFiles     = 1 << 20 // of all, as they are sent
)

// Limits are what a session may have. Zero values mean the server's defaults.
type Limits struct {
	MemoryMB       int               `json:"memory_mb,omitempty" jsonschema:"a multiple of 128; default 128"`
	TimeoutSeconds float64           `json:"timeout_seconds,omitempty" jsonschema:"of a snippet; default 10, at most 600"`
	IdleSeconds    float64           `json:"idle_seconds,omitempty" jsonschema:"it ends when unused for so long; default 600, at most 3600"`
	AllowNet       string            `json:"allow_net,omitempty" jsonschema:"hosts it may reach, such as api.example.com,*.example.org:443; default none"`
	Environment    map[string]string `json:"environment,omitempty" jsonschema:"environment variables"`
}

func (l Limits) request() api.CreateSessionRequest {
	r := api.CreateSessionRequest{
		AllowNet: l.AllowNet, Environment: l.Environment,
		ExecutionTimeout: seconds(l.TimeoutSeconds), IdleTimeout: seconds(l.IdleSeconds),
	}
	if l.MemoryMB != 0 {
		r.Resources = &api.Resources{Memory: api.Int64(l.MemoryMB) << 20}
	}
	return r
}

// seconds returns a duration of at most some years, which the server refuses anyway.
func seconds(s float64) api.Duration {
	return api.Duration(min(max(s, -1e8), 1e8) * float64(time.Second))
}

// RunCode are the arguments of run_code.
type RunCode struct {
	Code           string   `json:"code" jsonschema:"Python; the value of a last expression is shown, await works"`
	SessionID      string   `json:"session_id,omitempty" jsonschema:"of start_session; without one the code runs alone"`
	Files          []File   `json:"files,omitempty" jsonschema:"to write before it runs; at most 4 MiB"`
	Outputs        []string `json:"outputs,omitempty" jsonschema:"paths of files to return"`
	TimeoutSeconds float64  `json:"timeout_seconds,omitempty" jsonschema:"default 10, at most 600; code that takes longer ends its session"`
	MemoryMB       int      `json:"memory_mb,omitempty" jsonschema:"without a session: a multiple of 128; default 128"`
	AllowNet       string   `json:"allow_net,omitempty" jsonschema:"without a session: hosts it may reach, such as api.example.com; default none"`
}

// Ran is what became of code.
type Ran struct {
	Outcome    string  `json:"outcome" jsonschema:"ok; error: an exception, a session stays as it is; ended: the session is gone, see error"`
	Output     string  `json:"output,omitempty" jsonschema:"what it printed"`
	Result     string  `json:"result,omitempty" jsonschema:"the value of the last expression"`
	Error      string  `json:"error,omitempty" jsonschema:"the traceback, or why the session has ended"`
	ExitCode   *int    `json:"exit_code,omitempty"`
	Displays   []Shown `json:"displays,omitempty" jsonschema:"what it showed in other forms; images follow as content"`
	Files      []File  `json:"files,omitempty" jsonschema:"the outputs"`
	Truncated  bool    `json:"truncated,omitempty" jsonschema:"something was too long to be shown"`
	DurationMS float64 `json:"duration_ms"`
	images     []*sdk.ImageContent
}

// Shown is an object in one of its forms.
type Shown struct {
	Type string `json:"type" jsonschema:"media type"`
	Text string `json:"text"`
}

// SessionID are the arguments of tools for one session.
type SessionID struct {
	SessionID string `json:"session_id"`
}

// Session is what a model is told of a session.
type Session struct {
	SessionID string `json:"session_id"`
	ParentID  string `json:"parent_id,omitempty" jsonschema:"the session that it was forked from"`
	CreatedAt string `json:"created_at"`
	EndsAt    string `json:"ends_at" jsonschema:"unless it is used before"`
	Running   bool   `json:"running"`
	Snippets  int    `json:"snippets"`
	MemoryMB  int    `json:"memory_mb" jsonschema:"its limit"`
}

// Sessions is the result of list_sessions.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	More     bool      `json:"more,omitempty" jsonschema:"there are more than these"`
}

// Nothing are no arguments.
type Nothing struct{}

// Done says that something was done.
type Done struct {
	Done bool `json:"done"`
}

func (c *client) addCodeTools(s *sdk.Server) {
	tool(s, &sdk.Tool{Name: "run_code", Annotations: runs,
		Description: "Run Python in a sandbox: in a session, which keeps its state between calls, or alone."}, c.runCode)
	tool(s, &sdk.Tool{Name: "start_session", Annotations: adds,
		Description: "Start a session for run_code."}, c.startSession)
	tool(s, &sdk.Tool{Name: "fork_session", Annotations: adds,
		Description: "Start a session as a copy of another one, with its variables, modules and files. Fails while it has open files, connections or threads."},
		c.forkSession)
	tool(s, &sdk.Tool{Name: "list_sessions", Annotations: reads, Description: "List the sessions that there are."}, c.listSessions)
	tool(s, &sdk.Tool{Name: "interrupt_session", Annotations: ends,
		Description: "Raise KeyboardInterrupt in the code that a session runs."}, c.interruptSession)
	tool(s, &sdk.Tool{Name: "end_session", Annotations: ends, Description: "End a session; all that is in it is gone."}, c.endSession)
}

func (c *client) runCode(ctx context.Context, in RunCode) (*sdk.CallToolResult, Ran, error) {
	body := api.RunCodeRequest{
		Code: in.Code, ExecutionTimeout: seconds(in.TimeoutSeconds), Outputs: in.Outputs,
		Session: Limits{MemoryMB: in.MemoryMB, AllowNet: in.AllowNet}.request(),
	}
	for i := range in.Files {
		content, err := in.Files[i].content()
		if err != nil {
			return nil, Ran{}, err
		}
		body.Files = append(body.Files, api.SessionFile{Path: in.Files[i].Path, Content: content})
	}
	var r api.SnippetResult
	var err error
	if in.SessionID == "" {
		err = c.api(ctx, http.MethodPost, "/sessions:run", nil, body, &r)
	} else if in.MemoryMB != 0 || in.AllowNet != "" {
		err = fmt.Errorf("memory_mb and allow_net are the session's: give them to start_session")
	} else if err = checkName("session_id", in.SessionID); err == nil {
		err = c.api(ctx, http.MethodPost, "/sessions/"+in.SessionID+":run", nil, api.RunSnippetRequest{
			Code: body.Code, ExecutionTimeout: body.ExecutionTimeout, Files: body.Files, Outputs: body.Outputs,
		}, &r)
	}
	if err != nil {
		return nil, Ran{}, err
	}
	ran := newRan(&r)
	return ran.content(), *ran, nil
}

// newRan tells what became of code.
func newRan(r *api.SnippetResult) *Ran {
	ran := &Ran{Outcome: r.Outcome, ExitCode: r.ExitCode, Truncated: r.OutputTruncated, DurationMS: r.Figures.DurationMS}
	var output strings.Builder
	for _, o := range r.Output {
		output.WriteString(o.Text)
	}
	ran.Output = ran.shorten(output.String(), maxOutput)
	if e := r.Error; e != nil {
		ran.Error = ran.shorten(cmp.Or(e.Traceback, e.Type+": "+e.Message), maxTraceback)
	}
	left, files := maxDisplay, maxFiles
	for _, d := range r.Displays {
		ran.show(d, &left)
	}
	for _, f := range r.Files {
		shown := File{Path: f.Path, Note: f.Error}
		if f.Error == "" {
			shown = fileOf(f.Path, f.Content, &files)
		}
		ran.Truncated = ran.Truncated || f.Error == "" && shown.Note != ""
		ran.Files = append(ran.Files, shown)
	}
	return ran
}

// shorten cuts a text.
func (r *Ran) shorten(text string, most int) string {
	text, was := cut(text, most)
	r.Truncated = r.Truncated || was
	return text
}

// show adds an object: its text, if it is the result, one more form, and an image.
func (r *Ran) show(d api.SnippetDisplay, left *int) {
	text := func(kind string) string {
		var s string
		if json.Unmarshal(d.Data[kind], &s) != nil {
			return string(d.Data[kind]) // JSON
		}
		return s
	}
	add := func(kind, content string) {
		content = r.shorten(content, min(maxResult, *left))
		*left = max(*left-len(content), 0)
		r.Displays = append(r.Displays, Shown{kind, content})
	}
	plain := text("text/plain")
	switch {
	case d.Result:
		r.Result = r.shorten(plain, maxResult)
	case plain != "":
		add("text/plain", plain)
	}
	for kind := range d.Data {
		image, isImage := strings.CutPrefix(kind, "image/")
		switch {
		case kind == "text/plain":
		case isImage && image != "svg+xml":
			r.addImage(kind, text(kind))
		case *left > 0:
			add(kind, text(kind))
		default:
			r.Truncated = true
		}
	}
	slices.SortStableFunc(r.Displays, func(a, b Shown) int { return cmp.Compare(a.Type, b.Type) })
}

// addImage adds an image, if it is one that clients know and there is room for it.
func (r *Ran) addImage(kind, encoded string) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	known := slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, kind)
	if err != nil || !known || len(encoded) > maxImage || len(r.images) == maxImages {
		r.Truncated = true
		return
	}
	r.images = append(r.images, &sdk.ImageContent{Data: data, MIMEType: kind})
}

// content is what clients show that know no structured results: a text, and images.
func (r *Ran) content() *sdk.CallToolResult {
	var b strings.Builder
	b.WriteString(r.Output)
	for _, part := range []string{r.Result, r.Error} {
		if part != "" {
			if text := b.String(); text != "" && !strings.HasSuffix(text, "\n") {
				b.WriteByte('\n')
			}
			b.WriteString(part)
		}
	}
	for _, f := range r.Files {
		fmt.Fprintf(&b, "\n[file %s: %s]", f.Path, cmp.Or(f.Note, fmt.Sprintf("%d bytes", max(len(f.Text), len(f.Base64)/4*3))))
	}
	if b.Len() == 0 {
		b.WriteString("[" + r.Outcome + ", no output]")
	}
	result := &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: b.String()}}}
	for _, image := range r.images {
		result.Content = append(result.Content, image)
	}
	return result
}

func newSession(s *api.Session) Session {
	return Session{
		SessionID: s.ID, ParentID: s.ParentID, CreatedAt: moment(s.CreatedAt), EndsAt: moment(s.EndsAt),
		Running: s.Running, Snippets: s.Snippets, MemoryMB: int(s.Resources.Memory >> 20),
	}
}

// moment returns a time to the second.
func moment(t api.Time) string { return time.Time(t).UTC().Format(time.RFC3339) }

func (c *client) startSession(ctx context.Context, in Limits) (*sdk.CallToolResult, Session, error) {
	return c.session(ctx, "/sessions", in.request())
}

func (c *client) forkSession(ctx context.Context, in SessionID) (*sdk.CallToolResult, Session, error) {
	if err := checkName("session_id", in.SessionID); err != nil {
		return nil, Session{}, err
	}
	return c.session(ctx, "/sessions/"+in.SessionID+":fork", nil)
}

// session makes a request whose answer is a session.
func (c *client) session(ctx context.Context, path string, body any) (*sdk.CallToolResult, Session, error) {
	answer := api.Session{Resources: &api.Resources{}}
	if err := c.api(ctx, http.MethodPost, path, nil, body, &answer); err != nil {
		return nil, Session{}, err
	}
	return nil, newSession(&answer), nil
}

func (c *client) listSessions(ctx context.Context, _ Nothing) (*sdk.CallToolResult, Sessions, error) {
	var answer api.ListSessionsResponse
	if err := c.api(ctx, http.MethodGet, "/sessions", nil, nil, &answer); err != nil {
		return nil, Sessions{}, err
	}
	all := Sessions{Sessions: []Session{}, More: answer.NextPageToken != ""}
	for _, s := range answer.Sessions {
		all.Sessions = append(all.Sessions, newSession(&s))
	}
	return nil, all, nil
}

func (c *client) interruptSession(ctx context.Context, in SessionID) (*sdk.CallToolResult, Done, error) {
	return c.ofSession(ctx, http.MethodPost, in, ":interrupt")
}

func (c *client) endSession(ctx context.Context, in SessionID) (*sdk.CallToolResult, Done, error) {
	return c.ofSession(ctx, http.MethodDelete, in, "")
}

// ofSession makes a request about a session whose answer says nothing.
func (c *client) ofSession(ctx context.Context, method string, of SessionID, verb string) (*sdk.CallToolResult, Done, error) {
	if err := checkName("session_id", of.SessionID); err != nil {
		return nil, Done{}, err
	}
	err := c.api(ctx, method, "/sessions/"+of.SessionID+verb, nil, nil, nil)
	return nil, Done{err == nil}, err
}
