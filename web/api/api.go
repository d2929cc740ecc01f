// Package api is the management API of Vivarium: it makes, changes and lists
// functions, their versions and tags over HTTP, in the paths and the JSON of the
// cloud's API.
//
// Names are camelCase, 64-bit numbers are strings ("134217728"), durations are
// seconds ("5s"), bytes base64, times RFC 3339. A field that is unknown is
// refused by name. Every change is answered with an Operation, which is done
// already; every error with a Status.
//
// The routes are a table (routes.go), from which requests are dispatched and the
// OpenAPI description is made (openapi.go), so that neither can lack what the
// other has. A route's function takes the decoded request and returns what is to
// be encoded; it calls the host, and what the host refuses becomes an answer in
// one place (errors.go).
//
// The caller's principal is in the request's context, see access.WithPrincipal, and is passed on to
// the host, which decides what they may do and what they mean by a name. A route names
// the host's operation that it is, so that whoever may not use that is refused before
// anything of the request is looked at.
//
// The package knows no Echo: package web mounts the Handler below BasePath.
package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/cluster"
	"vivarium/host/paced"
	"vivarium/host/run"
	"vivarium/web/manage"
	"vivarium/web/objects"
	"vivarium/web/transfer"
)

const (
	// BasePath precedes all paths of the API.
	BasePath = "/functions/v1"
	// OperationsPath is where operations are found too, as the cloud has an
	// address for them all.
	OperationsPath = "/operations"
)

// Config says how a Handler behaves.
type Config struct {
	Host *host.Host
	// Desk is what the server's other face shares. Default: one of its own.
	Desk *manage.Desk
	// Objects is where versions' packages come from; nil means that there are none.
	Objects *objects.Storage
	// Accept says why the result of a replayed call can't be answered, as calls over HTTP
	// are, and sets its status; nil takes every result.
	Accept func(raw bool, r *run.Result, work paced.Work) error
	// Elsewhere asks other nodes for what they alone know; nil means that there are none.
	Elsewhere Elsewhere
	// Cluster has the nodes that share the host's store; nil means that there are none.
	Cluster *cluster.Cluster
	// Version is that of the program, for the OpenAPI description.
	Version string
	// Logger takes our own faults. Default: slog.Default().
	Logger *slog.Logger
}

// Handler serves the API. It is safe for concurrent use.
type Handler struct {
	config      Config
	host        *host.Host
	description func() []byte // the OpenAPI document
	origins     *http.CrossOriginProtection
	desk        *manage.Desk

	streams chan struct{} // closed when endless answers are to end
	end     sync.Once
}

// New returns the API of a host.
func New(config Config) *Handler {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	h := &Handler{
		config: config, host: config.Host, origins: http.NewCrossOriginProtection(),
		desk: cmp.Or(config.Desk, manage.New(config.Host)), streams: make(chan struct{}),
	}
	h.description = sync.OnceValue(h.describe)
	return h
}

// EndStreams ends the answers that would otherwise go on for ever: logs that are
// followed. Everything else goes on.
func (h *Handler) EndStreams() { h.end.Do(func() { close(h.streams) }) }

// request is a request that has found its route.
type request struct {
	*http.Request
	w     http.ResponseWriter
	path  map[string]string // the values of the route's {names}
	query url.Values
	body  any // pointer to the route's body, decoded; nil without one

	principal access.Principal // who asks, within the folder that the query names
}

// ServeHTTP answers one request. The path is one below BasePath or
// OperationsPath.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	turn := turn{desk: h.desk, request: r}
	defer turn.end()
	answer, err := h.serve(w, r, &turn)
	if err != nil {
		turn.end() // the reader may take its time
		h.fail(w, r, err)
		return
	}
	if answer == nil { // it was written already
		return
	}
	if turn.begin() != nil {
		return // the reader has left
	}
	body := encode(answer)
	turn.end()
	held := h.desk.Hold(access.PrincipalOf(r.Context()))
	defer held.Release() // for as long as the reader takes
	if err := held.Reserve(len(body)); err != nil {
		h.fail(w, r, err)
		return
	}
	send(w, http.StatusOK, body)
}

// turn is a request's turn, see manage.Desk.Turn; it may begin and end several times.
type turn struct {
	desk    *manage.Desk
	request *http.Request
	done    func() // nil while it is not its turn
}

func (t *turn) begin() (err error) {
	if t.done == nil {
		t.done, err = t.desk.Turn(t.request)
	}
	return err
}

func (t *turn) end() {
	if t.done != nil {
		t.done()
		t.done = nil
	}
}

// serve does what a request asks for. What it looks up may be much, and is counted only
// once it is encoded; until then the turn goes on.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, turn *turn) (any, error) {
	// A browser sends what any page tells it to. No page but one from here may
	// change anything.
	if err := h.origins.Check(r); err != nil {
		return nil, &statusError{http: http.StatusForbidden, code: CodePermissionDenied, message: "a page of another origin must not change anything here"}
	}
	path := strings.TrimPrefix(r.URL.Path, BasePath)
	if path == "/openapi.json" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		send(w, http.StatusOK, h.description()) // which all readers share
		return nil, nil
	}
	route, values, err := find(r.Method, path)
	if err != nil {
		return nil, err
	}
	caller := access.PrincipalOf(r.Context())
	if err := caller.Allow(route.does); err != nil {
		return nil, err
	}
	q := &request{Request: r, w: w, path: values}
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, invalid("the query", "must be escaped as URLs are: "+err.Error())
	}
	if err := q.within(route, caller); err != nil {
		return nil, err
	}
	if route.body != nil {
		limit, received := int64(maxBody), func() {}
		if route.does == "RunSnippet" {
			limit = maxRunBody
		}
		if route.upload {
			limit = maxBody + MaxContent/3*4 + 4
			if received, err = h.desk.Uploads.Reserve(r.Context(), manage.Uploader(r.RemoteAddr, caller)); err != nil {
				return nil, err
			}
		}
		held := h.desk.Hold(caller)
		defer held.Release()
		q.body = route.body()
		err := h.decode(w, r, transfer.Limits{Bytes: limit, Time: transferTimeout, Hold: held.Reserve}, q.body)
		received() // others need not wait until the code has been tried
		if err != nil {
			return nil, err
		}
	}
	if route.looksUp() {
		if err := turn.begin(); err != nil {
			return nil, err
		}
	}
	answer, err := route.serve(h, q)
	return q.answer(answer), err
}

// within checks the query's parameters, and makes the caller the principal within the
// folder that they name.
func (q *request) within(route *route, caller access.Principal) (err error) {
	for name := range q.query {
		if name != folderParameter.name && !slices.ContainsFunc(route.query, func(p parameter) bool { return p.name == name }) {
			return invalid(name, "there is no such parameter")
		}
	}
	q.principal, err = q.scope(caller)
	return err
}

// fail answers an error.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := statusOf(err)
	id := w.Header().Get("X-Request-Id")
	if e.ours() {
		h.config.Logger.Error("management request failed", "request_id", id, "path", r.URL.Path, "error", err)
	}
	for name, values := range e.header {
		w.Header()[name] = values
	}
	send(w, e.http, encode(e.body(id)))
}

// encode returns an answer's JSON.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // all answers are ours and can be encoded
		panic(errors.Join(errors.New("api: answer"), err))
	}
	return append(body, '\n')
}

// send writes an answer.
func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who went away needs no answer
}
