package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/run"
	"vivarium/wasm"
	"vivarium/web"
)

// runCommand implements `vivarium run`.
type runCommand struct {
	codePath
	Data        *string `short:"d" placeholder:"DATA" help:"Body of the request: the text itself, @FILE, or @- for standard input. Makes it a POST."`
	Raw         bool    `xor:"mode" help:"Raw mode: the handler receives the bare data, and its result is printed as JSON."`
	HTTP        bool    `name:"http" xor:"mode" help:"HTTP mode: the handler receives an HTTP event, and the response's body is printed. The default, except for event samples."`
	EventSample string  `placeholder:"NAME" help:"Send a sample event: ${samples}. All but http are raw."`
	Profile     string  `placeholder:"FILE" help:"Write where the call's time goes, by lines of Python, for go tool pprof: computing (cpu), and waiting for time, locks and the network (wait)."`
	Include     bool    `short:"i" help:"Print status and headers before the body, as curl -i does."`
	limits
	debugging
	installing
	confining
}

// functionName is the name of a function that is run without a server.
const functionName = "function"

// Help is shown by `vivarium run --help`.
func (*runCommand) Help() string {
	return `The answer's body goes to standard output, logs to standard error. The handler gets an HTTP event; what triggers, Alice
and "vivarium invoke" give it is bare data: add --raw. Packages that a requirements.txt names are installed, see
"vivarium deploy --help".

Exit code 0: the function answered; 1: the function failed, and its error is printed as JSON; 2: anything else.

Examples:
  vivarium run examples/echo -d '{"hello": "world"}'
  vivarium run hello.py
  vivarium run examples/timer --event-sample timer
  echo '{"messages": []}' | vivarium run . --raw -d @-`
}

// Run implements the command.
func (c *runCommand) Run(ctx context.Context, s *session) error {
	source, err := c.source(ctx, s, c.installing, &c.limits)
	if err != nil {
		return err
	}
	bundle, err := source.read()
	if err != nil {
		return err
	}
	spec, err := c.spec(bundle.entrypoint)
	if err != nil {
		return err
	}
	request, err := c.request(ctx, s, functionName)
	if err != nil {
		return err
	}
	terminal := newTerminal(s.stderr)
	terminal.note(bundle.notes...)
	profiling, err := openProfile(c.Profile) // before the right to is given up
	if err != nil {
		return err
	}
	defer profiling.close()
	if c.Debug && c.Data != nil && *c.Data == "@-" {
		return errors.New("--debug: standard input is the debugger's; name a file with -d @FILE")
	}
	debug, err := c.debugging.open(s, terminal)
	if err != nil {
		return err
	}
	defer debug.close()
	debug.change(&spec, source)
	confined, err := s.confine(c.confining, reach{egress: c.AllowNet.policy()})
	if err != nil {
		return err
	}
	defer confined.close()
	// One call needs few shells: boot, load, freeze, call.
	platform, err := openPlatform(ctx, s, terminal, platformConfig{
		noCalls: true,
		shells:  1, runtime: c.Runtime, temp: confined.temp, egress: c.AllowNet.policy(), dialer: confined.dialer, debug: debug,
	})
	if err != nil {
		return err
	}
	defer platform.close()
	if _, err := platform.host.Catalog().DeployTransient(access.Operator, functionName, spec, bundle.code); err != nil {
		return err
	}
	failed := c.call(s, &watchedFunctions{Host: platform.host, terminal: terminal, observer: profiling.observer()}, request)
	if err := profiling.write(); err != nil {
		return err
	}
	return failed
}

// request returns the HTTP request that the flags describe. All calls take this
// form, since package web knows best what the handler receives for it.
func (c *runCommand) request(ctx context.Context, s *session, function string) (*http.Request, error) {
	var body []byte
	method, query, header := http.MethodGet, url.Values{}, http.Header{}
	raw := c.Raw
	if c.EventSample != "" {
		sample, err := readSample(c.EventSample)
		if err != nil {
			return nil, err
		}
		raw = !c.HTTP && (c.Raw || sample.request == nil)
		method, body = http.MethodPost, sample.event
		if sample.request != nil && !raw {
			method, query, header, body = sample.request.parts()
		}
	}
	if c.Data != nil {
		data, err := readData(*c.Data, s.stdin)
		if err != nil {
			return nil, err
		}
		method, body = http.MethodPost, data
	}
	if raw {
		method = http.MethodPost
		query = url.Values{"integration": {"raw"}}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1/"+function+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	r.RemoteAddr = "127.0.0.1:0"
	header.Set("Accept", "*/*")
	header.Set("User-Agent", "vivarium/"+programVersion())
	if json.Valid(body) && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	r.Header = header
	return r, nil
}

// call makes the call and prints the response.
func (c *runCommand) call(s *session, functions *watchedFunctions, request *http.Request) error {
	once := &onlyCall{watchedFunctions: functions}
	server := web.New(web.Config{Version: programVersion()}, once)
	answer := &answer{header: http.Header{}}
	server.ServeHTTP(answer, request)
	failed := answer.header.Get("X-Function-Error") == "true"
	if !failed && !once.answered {
		if request.Context().Err() != nil {
			return errInterrupted
		}
		return answer.platformError()
	}
	var printed bytes.Buffer
	if c.Include {
		answer.printHead(&printed)
	}
	printed.Write(answer.body.Bytes())
	if err := s.printAnswer(printed.Bytes()); err != nil {
		return err
	}
	if failed {
		if c.Data != nil && !c.HTTP && request.URL.Query().Get("integration") == "" && request.Header.Get("Content-Type") == "application/json" {
			functions.terminal.say("the handler received an HTTP event with this data as its body; add --raw to pass it the data itself, as triggers and Alice do")
		}
		return &exitError{ExitFunction}
	}
	return nil
}

// watchedFunctions passes calls on to a host and shows the user how they fail.
type watchedFunctions struct {
	*host.Host
	terminal *terminal
	observer wasm.Observer // of all calls; nil for none
}

// Invoke implements web.Functions.
func (w *watchedFunctions) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	inv.Observer = w.observer
	result, err := w.Host.Invoke(ctx, p, inv)
	if e, ok := errors.AsType[*fault.FunctionError](err); ok {
		w.terminal.failure(result.Version.FunctionID, e)
	}
	return result, err
}

// onlyCall is for a server that gets a single call.
type onlyCall struct {
	*watchedFunctions
	answered bool // the handler returned a result
}

// Invoke implements web.Functions.
func (o *onlyCall) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	result, err := o.watchedFunctions.Invoke(ctx, p, inv)
	o.answered = err == nil
	return result, err
}

// answer is an http.ResponseWriter that records the response.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// platformError returns the error that a platform's response reports.
func (a *answer) platformError() error {
	var document struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(a.body.Bytes(), &document); err != nil || document.Message == "" {
		return fmt.Errorf("the call ended with status %d", a.status)
	}
	return errors.New(document.Message)
}

// printHead prints status and headers.
func (a *answer) printHead(w *bytes.Buffer) {
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(w) // writing to a buffer never fails
	fmt.Fprint(w, "\r\n")
}
