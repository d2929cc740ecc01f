package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
	"vivarium/web/strictjson"
	"vivarium/web/transfer"
)

// PlayPath is the prefix of the playground's paths.
const PlayPath = "/play/v1"

// Tries is what the playground needs of the host. *run.Runner implements it.
type Tries interface {
	// Try runs code once, in an instance of its own.
	Try(ctx context.Context, spec catalog.VersionSpec, code *vfs.Tree, inv run.Invocation, logs func(logs.Entry)) (*run.Result, error)
}

// Defaults for PlayConfig, and limits that need no configuration.
const (
	DefaultPlayMemoryMB = 256
	DefaultPlayTimeout  = 10 * time.Second
	DefaultPlayRate     = 5
	DefaultPlayBurst    = 20
	DefaultPlayAtOnce   = 4

	maxPlayRequest = 512 << 10 // bytes
	maxPlayFiles   = 20
	maxPlayCode    = 256 << 10 // bytes of all files
	maxPlayBody    = 1 << 20   // bytes of a response's body
	maxPlayLog     = 256 << 10 // bytes of a log, each entry counted as its text plus 128
	maxPlayHeader  = 64 << 10  // bytes of a response's headers
	maxPlayError   = 256 << 10 // bytes of an error's message and stack trace
	// playTransferTimeout bounds the transfer of a request, or of one part of a
	// response.
	playTransferTimeout = 30 * time.Second
)

// PlayConfig configures a Play. The zero value of a member means its default.
type PlayConfig struct {
	// Origins are the origins of other pages whose scripts may use the
	// playground, such as https://docs.example.com; "*" means all. Default:
	// none.
	Origins []string
	// MaxMemoryMB and MaxTimeout bound what a snippet can request. Default:
	// DefaultPlayMemoryMB, DefaultPlayTimeout.
	MaxMemoryMB int
	MaxTimeout  time.Duration
	// Rate is how many snippets per second a client may start, and Burst how
	// many at once after a pause. A client is an IPv4 address or a /64 IPv6
	// network. Default: DefaultPlayRate, DefaultPlayBurst.
	Rate  float64
	Burst int
	// AtOnce is how many snippets of a client may run or wait at the same time.
	// Default: DefaultPlayAtOnce.
	AtOnce int
	// AllowNet tells pages what snippets may reach at most; the host's TryCeiling is
	// what bounds them. Default: nothing.
	AllowNet string
	// Logger receives our own faults. Default: slog.Default().
	Logger *slog.Logger
}

// Play runs snippets for anyone: POST PlayPath/run. Each runs in a throwaway
// instance of its own, so callers need not be known; what they can use up is
// bounded. It is safe for concurrent use.
type Play struct {
	config  PlayConfig
	tries   Tries
	clients *playClients
	// patience is how long a reader may take for what is sent at once.
	patience time.Duration
	guard    *http.CrossOriginProtection // nil if all origins are allowed
}

// NewPlay returns a playground.
//
// # Errors
//
// An invalid origin.
func NewPlay(config PlayConfig, tries Tries) (*Play, error) {
	config.MaxMemoryMB = cmp.Or(max(config.MaxMemoryMB, 0), DefaultPlayMemoryMB)
	config.MaxTimeout = cmp.Or(max(config.MaxTimeout, 0), DefaultPlayTimeout)
	config.Rate = cmp.Or(max(config.Rate, 0), DefaultPlayRate)
	config.Burst = cmp.Or(max(config.Burst, 0), DefaultPlayBurst)
	config.AtOnce = cmp.Or(max(config.AtOnce, 0), DefaultPlayAtOnce)
	config.Logger = cmp.Or(config.Logger, slog.Default())
	p := &Play{
		config: config, tries: tries, clients: newPlayClients(config.Rate, config.Burst, config.AtOnce), patience: playTransferTimeout,
	}
	if slices.Contains(config.Origins, "*") {
		return p, nil
	}
	p.guard = http.NewCrossOriginProtection()
	for _, origin := range config.Origins {
		if err := p.guard.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("web: origin %q: must be like https://docs.example.com, or *: %w", origin, err)
		}
	}
	return p, nil
}

// ServeHTTP serves one request. The path must be below PlayPath.
func (p *Play) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := w.Header().Get(headerRequestID) // set by the Server
	call := newCall(r)
	if id != "" {
		call.requestID = id
	}
	w.Header().Set("Cache-Control", "no-store")
	p.allow(w.Header(), r)
	if err := p.serve(w, r, call); err != nil {
		p.fail(w, r, call, err)
	}
}

// playMethods are the methods of each path below PlayPath.
var playMethods = map[string][]string{
	"/run":    {http.MethodPost, http.MethodOptions},
	"/limits": {http.MethodGet, http.MethodHead, http.MethodOptions},
}

func (p *Play) serve(w http.ResponseWriter, r *http.Request, call *call) error {
	path := strings.TrimPrefix(r.URL.Path, PlayPath)
	allowed, ok := playMethods[path]
	if !ok {
		return &callerError{http.StatusNotFound, "Not Found: There is " + PlayPath + "/run and " + PlayPath + "/limits", clientError}
	}
	if r.Method == http.MethodOptions || !slices.Contains(allowed, r.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		if r.Method != http.MethodOptions {
			return &callerError{http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed), clientError}
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if path == "/limits" {
		p.send(w, http.StatusOK, encodeJSON(p.limits()))
		return nil
	}
	return p.run(w, r, call)
}

// allow adds the headers that make browsers let scripts of other pages use the
// playground. None of them allows credentials: there are none.
func (p *Play) allow(header http.Header, r *http.Request) {
	if len(p.config.Origins) == 0 {
		return
	}
	origin := r.Header.Get("Origin")
	switch {
	case p.guard == nil:
		origin = "*"
	default:
		header.Add("Vary", "Origin")
		if !slices.Contains(p.config.Origins, origin) {
			return
		}
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "600")
	}
}

// run serves POST PlayPath/run.
func (p *Play) run(w http.ResponseWriter, r *http.Request, call *call) error {
	if p.guard != nil {
		if err := p.guard.Check(r); err != nil {
			return &callerError{http.StatusForbidden, "Forbidden: Pages of another origin are not allowed to use this playground", clientError}
		}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &callerError{http.StatusUnsupportedMediaType, "Unsupported Media Type: The Content-Type must be application/json", clientError}
	}
	leave, err := p.clients.enter(r.RemoteAddr)
	if err != nil {
		return err
	}
	defer leave()
	t, err := p.receive(w, r, call)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return p.stream(w, r, t)
	}
	answer, err := p.try(r.Context(), t)
	if err != nil {
		return err
	}
	answer.Log, answer.LogTruncated = t.log.drain()
	text, err := t.encode(r.Context(), answer)
	if err != nil {
		return err
	}
	p.send(w, http.StatusOK, text)
	return nil
}

// receive reads a request to run a snippet, for which there has to be memory, as for its
// log.
func (p *Play) receive(w http.ResponseWriter, r *http.Request, call *call) (*playTry, error) {
	held := heldOf(r.Context())
	hold := func(n int) error { return playFull(held.reserve(r.Context(), n)) }
	if err := hold(2 * maxPlayLog); err != nil { // as it is written, and as it is sent
		return nil, err
	}
	body, err := readBody(w, r, transfer.Limits{Bytes: maxPlayRequest, Time: playTransferTimeout, Hold: hold})
	if err != nil {
		return nil, err
	}
	if err := hold(len(body)); err != nil { // what is decoded of it
		return nil, err
	}
	var request playRequest
	if err := strictjson.Decode(body, &request); err != nil {
		return nil, err
	}
	return p.newTry(r, call, &request)
}

// playFull returns the error of the playground for one of held.reserve.
func playFull(err error) error {
	if errors.Is(err, errBodies) {
		return &rateError{"the playground has no memory left until others have read their answers; wait a little", time.Second}
	}
	return err
}

// send writes a JSON document. A caller who has left needs none.
func (p *Play) send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// fail responds to an error.
func (p *Play) fail(w http.ResponseWriter, r *http.Request, call *call, err error) {
	f := p.refusalOf(r, call, err)
	for name, values := range f.header {
		w.Header()[name] = values
	}
	p.send(w, f.status, f.body())
}

// refusalOf returns the response to an error, and logs it if it is ours.
func (p *Play) refusalOf(r *http.Request, call *call, err error) refusal {
	if e, ok := errors.AsType[*fault.InvalidError](err); ok {
		names := map[string]string{"memory": "memoryMB", "execution_timeout": "timeoutMS"}
		if name, ok := names[e.Field]; ok {
			err = &fault.InvalidError{Field: name, Rule: e.Rule}
		}
	}
	f := refusalOf(err, call.requestID)
	if f.ours {
		p.config.Logger.ErrorContext(r.Context(), "snippet not run", "request_id", call.requestID, "error", err)
	}
	return f
}

// playLimits are what the playground allows.
type playLimits struct {
	MemoryMB         int     `json:"memoryMB"`
	MemoryStepMB     int     `json:"memoryStepMB"`
	TimeoutMS        int64   `json:"timeoutMS"`
	Files            int     `json:"files"`
	Bytes            int     `json:"bytes"`
	RequestBytes     int     `json:"requestBytes"`
	EnvironmentBytes int     `json:"environmentBytes"`
	BodyBytes        int     `json:"bodyBytes"`
	LogBytes         int     `json:"logBytes"`
	PerSecond        float64 `json:"perSecond"`
	Burst            int     `json:"burst"`
	AtOnce           int     `json:"atOnce"`
	AllowNet         string  `json:"allowNet"`
}

func (p *Play) limits() playLimits {
	return playLimits{
		MemoryMB: p.config.MaxMemoryMB, MemoryStepMB: catalog.DefaultMemoryMB, TimeoutMS: p.config.MaxTimeout.Milliseconds(),
		Files: maxPlayFiles, Bytes: maxPlayCode, RequestBytes: maxPlayRequest, EnvironmentBytes: catalog.MaxEnvironment,
		BodyBytes: maxPlayBody, LogBytes: maxPlayLog, PerSecond: p.config.Rate, Burst: p.config.Burst, AtOnce: p.config.AtOnce,
		AllowNet: p.config.AllowNet,
	}
}
