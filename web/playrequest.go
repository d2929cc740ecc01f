package web

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"vivarium/host/catalog"
	"vivarium/host/paced"
	"vivarium/host/profile"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

// playRequest is the body of POST PlayPath/run.
type playRequest struct {
	Files       map[string]string `json:"files"`
	Entrypoint  string            `json:"entrypoint"`
	Mode        string            `json:"mode"`    // playHTTP or playRaw
	Request     playHTTPRequest   `json:"request"` // for playHTTP
	Event       json.RawMessage   `json:"event"`   // for playRaw
	Environment map[string]string `json:"environment"`
	MemoryMB    int               `json:"memoryMB"`
	TimeoutMS   int64             `json:"timeoutMS"`
	AllowNet    string            `json:"allowNet"` // as in a version, within PlayConfig.AllowNet
	Profile     bool              `json:"profile"`  // find out where the time goes
}

// Values of playRequest.Mode.
const (
	playHTTP = "http"
	playRaw  = "raw"
)

// playHTTPRequest is the request from which the snippet's event is built. As
// with a real call, the event has no path.
type playHTTPRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// playTry is a snippet that is about to run.
type playTry struct {
	call   *call
	spec   catalog.VersionSpec
	code   *vfs.Tree
	files  map[string]string
	method string // of the simulated request
	inv    run.Invocation
	answer *response // the interpreted result; nil until it is available
	log    *playLog
	held   *held
	// profile gets where the time goes; nil if nobody asks.
	profile *profile.Profile
}

// newTry validates a request to run a snippet.
func (p *Play) newTry(r *http.Request, call *call, q *playRequest) (*playTry, error) {
	if err := p.check(q); err != nil {
		return nil, err
	}
	code, err := run.CodeFromFiles(q.Files)
	if err != nil {
		return nil, err
	}
	t := &playTry{
		call: call, code: code, files: q.Files, log: newPlayLog(), held: heldOf(r.Context()),
		spec: catalog.VersionSpec{
			Entrypoint: cmp.Or(q.Entrypoint, handlerIn(q.Files)), Environment: q.Environment, MemoryMB: q.MemoryMB,
			Timeout: time.Duration(q.TimeoutMS) * time.Millisecond, AllowNet: q.AllowNet,
		},
		inv: run.Invocation{RequestID: call.requestID, Raw: q.Mode == playRaw},
	}
	t.method = http.MethodPost
	if t.inv.Raw {
		t.inv.Body = q.Event
	} else {
		request, query, err := q.Request.build(r)
		if err != nil {
			return nil, err
		}
		t.method = request.Method
		t.inv.Event = func(work paced.Work) []byte {
			return newEvent(request, call, query, []byte(q.Request.Body)).encode(work)
		}
	}
	if q.Profile {
		t.profile = profile.New()
		t.inv.Observer = t.profile.Observe
	}
	t.inv.Accept = func(result *run.Result, work paced.Work) (err error) {
		n := len(result.Body)
		t.held.force(n)
		defer t.held.give(n)
		t.answer, err = accept(result, t.method, t.inv.Raw, DefaultMaxBytes, work)
		return err
	}
	return t, nil
}

// handlerIn returns the entry point of files for which none is named.
func handlerIn(files map[string]string) string {
	_, main := files["main.py"]
	if _, index := files["index.py"]; index && !main {
		return "index.handler"
	}
	return "main.handler"
}

// check validates a request against the limits.
func (p *Play) check(q *playRequest) error {
	total := 0
	for name, text := range q.Files {
		total += len(name) + len(text)
	}
	switch {
	case len(q.Files) == 0:
		return badRequest(`files: there are none; give at least one, as in {"main.py": "..."}`)
	case len(q.Files) > maxPlayFiles:
		return badRequest("files: there are %d; at most %d are allowed", len(q.Files), maxPlayFiles)
	case total > maxPlayCode:
		return badRequest("files: they have %d bytes in total; at most %d are allowed", total, maxPlayCode)
	case q.Mode != "" && q.Mode != playHTTP && q.Mode != playRaw:
		return badRequest("mode: %.80q must be %s or %s", q.Mode, playHTTP, playRaw)
	case q.MemoryMB < 0 || q.MemoryMB > p.config.MaxMemoryMB:
		return badRequest("memoryMB: %d must be at most %d", q.MemoryMB, p.config.MaxMemoryMB)
	case q.TimeoutMS < 0 || q.TimeoutMS > p.config.MaxTimeout.Milliseconds():
		return badRequest("timeoutMS: %d must be at most %d", q.TimeoutMS, p.config.MaxTimeout.Milliseconds())
	}
	return nil
}

// build returns the request as if the caller of r had sent it, and its query.
func (q *playHTTPRequest) build(r *http.Request) (*http.Request, values, error) {
	method := cmp.Or(strings.ToUpper(q.Method), http.MethodGet)
	if q.Method == "" && q.Body != "" {
		method = http.MethodPost
	}
	if !slices.Contains(methods, method) {
		return nil, nil, badRequest("request.method: %.80q must be one of %s", q.Method, strings.Join(methods, ", "))
	}
	query, err := parseQuery(strings.TrimPrefix(q.Query, "?"))
	if err != nil {
		return nil, nil, err
	}
	request := (&http.Request{
		Method: method, Host: r.Host, RemoteAddr: r.RemoteAddr, Header: http.Header{}, ContentLength: int64(len(q.Body)),
		Body: http.NoBody,
	}).WithContext(r.Context())
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		value := q.Headers[name]
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, nil, badRequest("request.headers: %.80q is not a header name", name)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, nil, badRequest("request.headers: the value of %.80q has a line break or another control character", name)
		case strings.EqualFold(name, "Host"):
			request.Host = value
		case !strings.EqualFold(name, "Content-Length"): // set from the body
			request.Header.Set(name, value)
		}
	}
	return request, query, nil
}
