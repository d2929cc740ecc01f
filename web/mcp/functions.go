package mcp

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"vivarium/web/api"
)

// What goes in and out of a function, in bytes.
const (
	maxDeploy        = 4 << 20 // of all files that are deployed
	maxFunctionFiles = 200
	maxArchive       = 4 << 20   // of the code that is read
	maxSource        = 256 << 10 // of all files that are shown
	maxAnswered      = 64 << 10  // of what a function answers
	maxMessage       = 2 << 10   // of one entry of a log
	maxLog           = 64 << 10  // of all entries
	maxEntries       = 500
	maxListed        = 100 // functions
)

// ListFunctions are the arguments of list_functions.
type ListFunctions struct {
	PageToken string `json:"page_token,omitempty" jsonschema:"next_page_token of the result before"`
}

// Functions is the result of list_functions.
type Functions struct {
	Functions     []Function `json:"functions"`
	NextPageToken string     `json:"next_page_token,omitempty" jsonschema:"there are more"`
}

// Function is what a model is told of a function.
type Function struct {
	Name        string `json:"name"`
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"`
}

// OfFunction are the arguments of tools for one function.
type OfFunction struct {
	Name string `json:"name" jsonschema:"name or id"`
	Tag  string `json:"tag,omitempty" jsonschema:"of a version; default the newest"`
}

// ReadFunction is the result of read_function.
type ReadFunction struct {
	Function
	VersionID      string   `json:"version_id"`
	Tags           []string `json:"tags"`
	Runtime        string   `json:"runtime"`
	Entrypoint     string   `json:"entrypoint"`
	MemoryMB       int      `json:"memory_mb"`
	TimeoutSeconds float64  `json:"timeout_seconds"`
	AllowNet       string   `json:"allow_net,omitempty"`
	Environment    []string `json:"environment,omitempty" jsonschema:"names of its variables"`
	Files          []File   `json:"files"`
	Truncated      bool     `json:"truncated,omitempty" jsonschema:"some files are not shown"`
}

// Deploy are the arguments of deploy_function.
type Deploy struct {
	Name           string            `json:"name" jsonschema:"3 to 63 lower-case letters, digits and hyphens; made if there is no such function"`
	Files          []File            `json:"files" jsonschema:"main.py with handler(event, context), and what it needs; packages are not installed; at most 4 MiB"`
	Entrypoint     string            `json:"entrypoint,omitempty" jsonschema:"MODULE.FUNCTION; default main.handler"`
	Runtime        string            `json:"runtime,omitempty" jsonschema:"python313, or python313-full with more built-in packages"`
	MemoryMB       int               `json:"memory_mb,omitempty" jsonschema:"a multiple of 128; default 128"`
	TimeoutSeconds float64           `json:"timeout_seconds,omitempty" jsonschema:"default 3, at most 3600"`
	AllowNet       string            `json:"allow_net,omitempty" jsonschema:"hosts it may reach, such as api.example.com; default none"`
	Environment    map[string]string `json:"environment,omitempty"`
	Tags           []string          `json:"tags,omitempty"`
	Description    string            `json:"description,omitempty" jsonschema:"of the version"`
}

// Deployed is the result of deploy_function.
type Deployed struct {
	Name      string   `json:"name"`
	VersionID string   `json:"version_id"`
	Tags      []string `json:"tags"`
	URL       string   `json:"url,omitempty"`
}

// Call are the arguments of call_function.
type Call struct {
	Name  string `json:"name" jsonschema:"name or id"`
	Event any    `json:"event,omitempty" jsonschema:"what the handler gets as its event: any JSON"`
	Tag   string `json:"tag,omitempty" jsonschema:"of a version; default the newest"`
}

// Called is the result of call_function.
type Called struct {
	Outcome   string `json:"outcome" jsonschema:"ok, or error: the function failed"`
	Result    string `json:"result" jsonschema:"what the handler returned, as JSON; or its error"`
	Truncated bool   `json:"truncated,omitempty"`
	RequestID string `json:"request_id" jsonschema:"for read_logs"`
}

// ReadLogs are the arguments of read_logs.
type ReadLogs struct {
	Name         string  `json:"name" jsonschema:"name or id"`
	RequestID    string  `json:"request_id,omitempty" jsonschema:"only of this call"`
	SinceSeconds float64 `json:"since_seconds,omitempty" jsonschema:"only the last seconds"`
	MinLevel     string  `json:"min_level,omitempty" jsonschema:"TRACE, DEBUG, INFO, WARN, ERROR or FATAL"`
	Contains     string  `json:"contains,omitempty" jsonschema:"only entries with this text"`
	Limit        int     `json:"limit,omitempty" jsonschema:"the newest so many; default 100, at most 500"`
}

// Logs is the result of read_logs.
type Logs struct {
	Entries   []Entry `json:"entries" jsonschema:"oldest first"`
	Truncated bool    `json:"truncated,omitempty" jsonschema:"older entries, or ends of messages, are not shown"`
}

// Entry is an entry of a log.
type Entry struct {
	Time      string `json:"time"`
	Level     string `json:"level,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Message   string `json:"message"`
}

func (c *client) addFunctionTools(s *sdk.Server) {
	tool(s, &sdk.Tool{Name: "list_functions", Annotations: reads, Description: "List the functions that there are."}, c.listFunctions)
	tool(s, &sdk.Tool{Name: "read_function", Annotations: reads,
		Description: "Show a function: its settings and its source files."}, c.readFunction)
	tool(s, &sdk.Tool{Name: "deploy_function", Annotations: adds,
		Description: "Deploy files as a new version of a function, which is in use at once. Code that does not load is refused with its traceback."},
		c.deployFunction)
	tool(s, &sdk.Tool{Name: "call_function", Annotations: runs,
		Description: "Call a function with an event, and wait for what its handler returns."}, c.callFunction)
	tool(s, &sdk.Tool{Name: "read_logs", Annotations: reads, Description: "Read the log of a function."}, c.readLogs)
}

func (c *client) newFunction(f *api.Function) Function {
	return Function{Name: f.Name, ID: f.ID, Description: f.Description, URL: c.url(cmp.Or(f.Name, f.ID))}
}

// url returns where a function is called; empty if nobody else can.
func (c *client) url(name string) string {
	if c.Private {
		return ""
	}
	return c.Base + "/" + name
}

func (c *client) listFunctions(ctx context.Context, in ListFunctions) (*sdk.CallToolResult, Functions, error) {
	query := url.Values{"pageSize": {strconv.Itoa(maxListed)}}
	if in.PageToken != "" {
		query.Set("pageToken", in.PageToken)
	}
	var answer api.ListFunctionsResponse
	if err := c.api(ctx, http.MethodGet, "/functions", query, nil, &answer); err != nil {
		return nil, Functions{}, err
	}
	all := Functions{Functions: []Function{}, NextPageToken: answer.NextPageToken}
	for _, f := range answer.Functions {
		all.Functions = append(all.Functions, c.newFunction(f))
	}
	return nil, all, nil
}

func (c *client) readFunction(ctx context.Context, in OfFunction) (*sdk.CallToolResult, ReadFunction, error) {
	if err := checkName("name", in.Name); err != nil {
		return nil, ReadFunction{}, err
	}
	var f api.Function
	if err := c.api(ctx, http.MethodGet, "/functions/"+in.Name, nil, nil, &f); err != nil {
		return nil, ReadFunction{}, err
	}
	v := api.Version{Resources: &api.Resources{}}
	if err := c.api(ctx, http.MethodGet, "/versions:byTag", url.Values{"functionId": {f.ID}, "tag": {cmp.Or(in.Tag, "$latest")}}, nil, &v); err != nil {
		return nil, ReadFunction{}, err
	}
	read := ReadFunction{
		Function: c.newFunction(&f), VersionID: v.ID, Tags: v.Tags, Runtime: v.Runtime, Entrypoint: v.Entrypoint,
		MemoryMB: int(v.Resources.Memory >> 20), TimeoutSeconds: time.Duration(v.ExecutionTimeout).Seconds(), AllowNet: v.AllowNet,
		Environment: slices.Sorted(maps.Keys(v.Environment)), Files: []File{},
	}
	if v.ImageSize > maxArchive {
		read.Truncated = true
		return nil, read, nil
	}
	var archive []byte
	if err := c.api(ctx, http.MethodGet, "/versions/"+v.ID+":download", nil, nil, &archive); err != nil {
		return nil, ReadFunction{}, err
	}
	err := read.addFiles(archive)
	return nil, read, err
}

// addFiles adds the files of an archive, within limits.
func (r *ReadFunction) addFiles(archive []byte) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err
	}
	left := maxSource
	for _, f := range z.File {
		if f.Mode().IsDir() {
			continue
		}
		if len(r.Files) == maxFunctionFiles {
			r.Truncated = true
			break
		}
		shown := File{Path: f.Name}
		if f.UncompressedSize64 > uint64(left) {
			shown.Note = fmt.Sprintf("%d bytes, too many to show", f.UncompressedSize64)
		} else {
			content, err := readEntry(f, left)
			if err != nil {
				return err
			}
			if shown = fileOf(f.Name, content, &left); !isText(content) {
				shown = File{Path: f.Name, Note: fmt.Sprintf("%d bytes that are no text", len(content))}
			}
		}
		r.Truncated = r.Truncated || shown.Note != ""
		r.Files = append(r.Files, shown)
	}
	return nil
}

// readEntry unpacks a file of an archive, of at most so many bytes.
func readEntry(f *zip.File, most int) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(most)))
}

func (c *client) deployFunction(ctx context.Context, in Deploy) (*sdk.CallToolResult, Deployed, error) {
	if err := checkName("name", in.Name); err != nil {
		return nil, Deployed{}, err
	}
	content, err := pack(in.Files)
	if err != nil {
		return nil, Deployed{}, err
	}
	request := api.CreateVersionRequest{
		FunctionID: in.Name, Runtime: cmp.Or(in.Runtime, "python313"), Entrypoint: cmp.Or(in.Entrypoint, entrypointIn(in.Files)),
		Content: content, Environment: in.Environment, AllowNet: in.AllowNet, Tag: in.Tags, Description: in.Description,
	}
	if in.MemoryMB != 0 {
		request.Resources = &api.Resources{Memory: api.Int64(in.MemoryMB) << 20}
	}
	if in.TimeoutSeconds != 0 {
		timeout := seconds(in.TimeoutSeconds)
		request.ExecutionTimeout = &timeout
	}
	var f api.Function
	err = c.api(ctx, http.MethodGet, "/functions/"+in.Name, nil, nil, &f)
	if e, ok := errors.AsType[*api.Status](err); ok && e.Code == api.CodeNotFound {
		err = c.change(ctx, "/functions", api.CreateFunctionRequest{Name: in.Name}, &f)
	}
	if err != nil {
		return nil, Deployed{}, err
	}
	var v api.Version
	if err := c.change(ctx, "/versions", request, &v); err != nil {
		return nil, Deployed{}, traced(err)
	}
	return nil, Deployed{in.Name, v.ID, v.Tags, c.url(in.Name)}, nil
}

// change makes a request that is answered with an operation, which is done.
func (c *client) change(ctx context.Context, path string, body, response any) error {
	var operation struct{ Response json.RawMessage }
	if err := c.api(ctx, http.MethodPost, path, nil, body, &operation); err != nil {
		return err
	}
	return json.Unmarshal(operation.Response, response)
}

// traced adds the traceback of code that does not load.
func traced(err error) error {
	e, ok := errors.AsType[*api.Status](err)
	if !ok {
		return err
	}
	text := ""
	for _, d := range e.Details {
		text += strings.Join(d.StackEntries, "")
	}
	if text, _ = cut(text, maxTraceback); text != "" {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return err
}

// pack makes an archive of files.
func pack(files []File) ([]byte, error) {
	total := 0
	for _, f := range files {
		total += len(f.Text) + len(f.Base64)/4*3
	}
	switch {
	case len(files) == 0:
		return nil, errors.New("files: there are none; give at least main.py")
	case len(files) > maxFunctionFiles:
		return nil, fmt.Errorf("files: there are %d; at most %d are allowed", len(files), maxFunctionFiles)
	case total > maxDeploy:
		return nil, fmt.Errorf("files: they have %d bytes in all; at most %d are allowed", total, maxDeploy)
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for i := range files {
		content, err := files[i].content()
		if err != nil {
			return nil, err
		}
		f, err := w.Create(files[i].Path)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}

// entrypointIn returns the entry point of files for which none is named.
func entrypointIn(files []File) string {
	has := func(name string) bool { return slices.ContainsFunc(files, func(f File) bool { return f.Path == name }) }
	if has("index.py") && !has("main.py") {
		return "index.handler"
	}
	return "main.handler"
}

func (c *client) callFunction(ctx context.Context, in Call) (*sdk.CallToolResult, Called, error) {
	if err := checkName("name", in.Name); err != nil {
		return nil, Called{}, err
	}
	body, err := json.Marshal(in.Event)
	if err != nil {
		return nil, Called{}, err
	}
	query := url.Values{"integration": {"raw"}}
	if in.Tag != "" {
		query.Set("tag", in.Tag)
	}
	header, status, text, err := c.send(ctx, http.MethodPost, "/"+in.Name, query, body)
	if err != nil {
		return nil, Called{}, err
	}
	called := Called{Outcome: "ok", RequestID: header.Get("X-Request-Id")}
	switch failed := header.Get("X-Function-Error") == "true"; {
	case failed:
		called.Outcome = "error"
	case status >= http.StatusBadRequest:
		var e struct{ ErrorMessage string }
		if json.Unmarshal(text, &e) != nil || e.ErrorMessage == "" {
			e.ErrorMessage = fmt.Sprintf("the server answered with status %d", status)
		}
		return nil, Called{}, errors.New(e.ErrorMessage)
	}
	if !isText(text) {
		text = fmt.Appendf(nil, "[%d bytes that are no text]", len(text))
	}
	called.Result, called.Truncated = cut(string(text), maxAnswered)
	return nil, called, nil
}

func (c *client) readLogs(ctx context.Context, in ReadLogs) (*sdk.CallToolResult, Logs, error) {
	if err := checkName("name", in.Name); err != nil {
		return nil, Logs{}, err
	}
	if in.Limit < 0 || in.Limit > maxEntries || in.SinceSeconds < 0 {
		return nil, Logs{}, fmt.Errorf("limit must be 1 to %d, and since_seconds not negative", maxEntries)
	}
	query := url.Values{"limit": {strconv.Itoa(cmp.Or(in.Limit, 100))}}
	for name, value := range map[string]string{"requestId": in.RequestID, "minLevel": in.MinLevel, "contains": in.Contains} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if in.SinceSeconds > 0 {
		query.Set("since", time.Now().Add(-time.Duration(seconds(in.SinceSeconds))).UTC().Format(time.RFC3339Nano))
	}
	var answer api.ListLogsResponse
	if err := c.api(ctx, http.MethodGet, "/functions/"+in.Name+":logs", query, nil, &answer); err != nil {
		return nil, Logs{}, err
	}
	logs := Logs{Entries: []Entry{}, Truncated: answer.Truncated}
	left := maxLog
	for _, e := range slices.Backward(answer.Entries) { // the newest matter most
		message, was := cut(e.Message, maxMessage)
		if left -= len(message) + 100; left < 0 {
			logs.Truncated = true
			break
		}
		logs.Truncated = logs.Truncated || was
		logs.Entries = append(logs.Entries, Entry{
			Time: time.Time(e.Timestamp).UTC().Format(time.RFC3339Nano), Level: e.Level, RequestID: e.RequestID, Message: message,
		})
	}
	slices.Reverse(logs.Entries)
	return nil, logs, nil
}
