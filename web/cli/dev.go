package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"
	"vivarium/web/manage"
)

// devCommand implements `vivarium dev`.
type devCommand struct {
	codePath
	Name   string `placeholder:"NAME" help:"Name of the function, which is its path in the URL. Default: the folder's or file's."`
	Sample string `name:"event-sample" xor:"event" placeholder:"NAME" help:"Call the function with this sample event at the start and after each save: ${samples}."`
	Event  string `xor:"event" placeholder:"FILE" help:"Call the function with the event in this JSON file at the start and after each save, as triggers do."`
	listening
	limits
	debugging
	installing
	confining
}

// Help is shown by `vivarium dev --help`.
func (*devCommand) Help() string {
	return `Logs and tracebacks appear in the terminal, and in the console, which is on the same port. A saved file is in effect with the next call; code that
can't be loaded is answered with its error until it is mended. Packages that a requirements.txt names are installed at
the start, see "vivarium deploy --help". If PATH has a vivarium.yaml, all its functions are served, as it says; what they
may reach must be allowed here, too.

Examples:
  vivarium dev examples/api
  vivarium dev examples/timer --event-sample timer
  vivarium dev examples/timer --event order.json
  vivarium dev . --entrypoint app.handle --env LEVEL=debug --timeout 10s`
}

// Run implements the command.
func (c *devCommand) Run(ctx context.Context, s *session, line *kong.Context) error {
	event, err := c.event()
	if err != nil {
		return err
	}
	code, err := c.followed(ctx, s, line)
	if err != nil {
		return err
	}
	follower, err := s.follow(ctx, code, s.ownsProcess && !c.NoConfine)
	if err != nil {
		return err
	}
	defer follower.close()
	first, err := follower.receive()
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(err, io.EOF):
		return &exitError{ExitFailure} // the other process has reported why
	case err != nil:
		return err
	case first.Err != "":
		return errors.New(first.Err)
	}
	d := &deployments{
		terminal: newTerminal(s.stderr), sample: func() {},
		functions: map[string]*deployment{}, allowed: map[string]string{}, leaving: map[string]chan struct{}{},
	}
	if code.Project == "" {
		if d.single, err = c.spec(""); err != nil {
			return err
		}
		d.name = cmp.Or(c.Name, nameOf(c.Path))
		if one := first.Functions[0]; one.Err != "" {
			return errors.New(one.Err)
		}
	}
	debug, err := c.debug(s, d, code)
	if err != nil {
		return err
	}
	defer debug.close()
	listener, err := c.listening.open(d.terminal.say)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := c.mayServe(listener, false, ""); err != nil {
		return err
	}
	asks := s.interactive() && !c.Debug && runtime.GOOS == "linux" // elsewhere there is no network
	confined, err := s.confine(c.confining, reach{read: c.certificates(), egress: c.AllowNet.policy(), asks: asks})
	if err != nil {
		return err
	}
	defer confined.close()
	cfg := platformConfig{
		runtime: runtimeOf(first, c.Runtime), temp: confined.temp, egress: c.AllowNet.policy(), dialer: confined.dialer, debug: debug,
	}
	var wanted *wishes
	if asks {
		wanted = newWishes(d, confined, s, c.AllowNet)
		cfg.egress, cfg.refused = wanted.everything(), wanted.note
	}
	platform, err := openPlatform(ctx, s, d.terminal, cfg)
	if err != nil {
		return err
	}
	defer platform.close()
	d.host = platform.host
	if asks {
		if err := wanted.bound(ctx); err != nil {
			return err
		}
	}
	if code.Project != "" {
		d.terminal.prefix = platform.prefix
	}
	defer d.retiring.Wait()
	if err := d.begin(first, string(c.AllowNet)); err != nil {
		return err
	}
	config := web.Config{Version: programVersion(), Confinement: confined.lines}
	if listener.local() { // the console has no key here
		if err := c.console(&config, listener, platform); err != nil {
			return err
		}
	}
	c.configure(&config, listener, platform.host.Keys())
	server := web.New(config, &freshFunctions{&watchedFunctions{Host: platform.host, terminal: d.terminal}, follower})
	if event != nil {
		d.sample = c.sample(ctx, s, d, server, event)
	}
	follower.each(d.reload)
	defer follower.close()
	if asks {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		d.retiring.Go(func() { wanted.grant(ctx) })
	}
	c.announce(s, d, listener.url())
	if config.Console != nil {
		fmt.Fprintf(s.stdout, "vivarium: console on %s%s/\n", listener.url(), console.Path)
	}
	c.warn(d.terminal, listener, platform.host.Keys(), "call this function")
	d.retiring.Go(d.sample)
	return server.Serve(ctx, listener)
}

// console adds the console, and what it asks: all of it is forgotten when dev ends.
func (c *devCommand) console(config *web.Config, listener *listener, p *platform) error {
	play, err := (&playFlags{}).playground(listener.Addr(), p.host)
	if err != nil {
		return err
	}
	management := api.New(api.Config{Host: p.host, Desk: manage.New(p.host), Version: programVersion()})
	config.Management, config.Play, config.Console = management, play, console.Handler()
	config.OnDrain, config.Tenants = management.EndStreams, p.tenants
	return nil
}

// debug opens the debugger of the one function that there is.
func (c *devCommand) debug(s *session, d *deployments, code *followed) (*debugger, error) {
	debug, err := c.debugging.open(s, d.terminal)
	if debug == nil || err != nil {
		return nil, err
	}
	source, err := openSource(code.Path, code.Entrypoint)
	if code.Project != "" {
		err = fmt.Errorf("--debug: is for one function, but %s has several; name the folder of one", projectFile)
	}
	if err != nil {
		debug.close()
		return nil, err
	}
	debug.change(&d.single, source)
	return debug, nil
}

// followed returns the code that the flags name, with its packages installed.
func (c *devCommand) followed(ctx context.Context, s *session, line *kong.Context) (*followed, error) {
	if !hasProject(c.Path) {
		source, err := c.source(ctx, s, c.installing, &c.limits)
		if err != nil {
			return nil, err
		}
		return &followed{Path: source.path, Entrypoint: source.entrypoint, Packages: map[string]string{"": source.packages}}, nil
	}
	p, err := readProject(c.Path)
	if err != nil {
		return nil, err
	}
	// What functions may reach is bounded here: the file may be somebody else's.
	flags := slices.DeleteFunc(functionFlags("ephemeral-disk", "entrypoint", "name", "event-sample", "event"), func(name string) bool { return name == "allow-net" || name == "path" })
	if err := refuseFlags(line, p.file, flags, "name the folder of the one function"); err != nil {
		return nil, err
	}
	f := &followed{Project: c.Path, Packages: map[string]string{}, Runtimes: map[string]string{}}
	for _, function := range p.functions {
		function.tellSecrets(newTerminal(s.stderr), "dev")
		l := function.limits
		if err := c.install(ctx, s, function.source, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", function.name, err)
		}
		f.Packages[function.name], f.Runtimes[function.name] = function.source.packages, l.Runtime
	}
	return f, nil
}

// runtimeOf returns the runtime to compile ahead: the one that is named, or the first
// function's.
func runtimeOf(e *edition, named string) string {
	if len(e.Functions) > 0 && e.Functions[0].Spec != nil {
		return e.Functions[0].Spec.Runtime
	}
	return named
}

// announce tells where the functions are.
func (c *devCommand) announce(s *session, d *deployments, url string) {
	if d.name != "" {
		fmt.Fprintf(s.stdout, "vivarium: serving %s on %s/%s\n", c.Path, url, d.name)
		printCurl(s.stdout, url, d.name)
		return
	}
	fmt.Fprintf(s.stdout, "vivarium: serving the functions of %s on %s\n", filepath.Join(c.Path, projectFile), url)
	for _, name := range slices.Sorted(maps.Keys(d.functions)) {
		printCurl(s.stdout, url, name)
	}
}

// freshFunctions are those of a host that follows a source.
type freshFunctions struct {
	*watchedFunctions
	follower *follower
}

// reloadPatience bounds how long a call waits for a save to take effect.
const reloadPatience = 10 * time.Second

// Resolve implements web.Functions. What was saved before it is called is in effect
// when it returns.
func (f *freshFunctions) Resolve(p access.Principal, function, tag string) (*catalog.Version, error) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadPatience)
	defer cancel()
	f.follower.current(ctx)
	return f.watchedFunctions.Resolve(p, function, tag)
}

// event returns what describes the event to be sent after each save; nil if none is. The
// file is read now: later there is no right to.
func (c *devCommand) event() (*runCommand, error) {
	switch {
	case c.Sample != "":
		_, err := readSample(c.Sample)
		return &runCommand{EventSample: c.Sample}, err
	case c.Event == "":
		return nil, nil
	}
	text, err := readData("@"+c.Event, nil)
	if err != nil {
		return nil, fmt.Errorf("--event: %w", err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("--event %s: is not JSON: %w", c.Event, err)
	}
	data := string(text)
	return &runCommand{Raw: true, Data: &data}, nil
}

// sample returns a function that sends the event and shows the response.
func (c *devCommand) sample(ctx context.Context, s *session, d *deployments, server http.Handler, event *runCommand) func() {
	name := cmp.Or(c.Sample, c.Event)
	return func() {
		request, err := event.request(ctx, s, d.name)
		if err != nil {
			d.terminal.say("event %s: %v", name, err)
			return
		}
		answer := &answer{header: http.Header{}, status: http.StatusOK}
		server.ServeHTTP(answer, request)
		d.terminal.say("event %s: status %d: %s", name, answer.status, answer.body.Bytes())
	}
}

// deployments are the functions whose code is followed. begin comes before all others.
type deployments struct {
	name     string              // of the one function; empty if a projectFile names them
	single   catalog.VersionSpec // of the one function
	host     *host.Host
	terminal *terminal
	sample   func()         // sends the sample event
	retiring sync.WaitGroup // old versions with calls in progress, and sample calls

	mu        sync.Mutex // guards the members below; what is served is replaced under it
	functions map[string]*deployment
	allowed   map[string]string        // rules that were allowed at the terminal, by function
	leaving   map[string]chan struct{} // functions that are gone; closed when their last calls are over
	failed    string                   // why the last edition could not be read
}

// deployment is a function that is served.
type deployment struct {
	archive []byte // of the current version
	spec    catalog.VersionSpec
	timers  map[string]timerFlags
	notes   []string // that the user has been told
	edition functionEdition
}

// begin deploys the first edition. Ceiling is what functions may reach at most.
func (d *deployments) begin(e *edition, ceiling string) error {
	for i := range e.Functions {
		f := &e.Functions[i]
		name := cmp.Or(d.name, f.Name)
		err := d.deploy(name, f)
		if e, ok := errors.AsType[*fault.InvalidError](err); ok && e.Field == "name" && d.name != "" {
			return fmt.Errorf("%w; choose one with --name", err)
		}
		switch {
		case err != nil && d.name != "":
			return err
		case err != nil:
			d.terminal.say("%s: not served until it is mended: %v", name, err)
		case ceiling == "" && f.Spec != nil && f.Spec.AllowNet != "":
			d.terminal.say("%s: %s lets it reach %s; so does dev with --allow-net=%[3]s", name, projectFile, f.Spec.AllowNet)
		}
	}
	return nil
}

// deploy deploys a function unless it is as it was.
func (d *deployments) deploy(name string, f *functionEdition) error {
	b, err := f.bundle()
	if err != nil {
		return err
	}
	spec := d.single
	if f.Spec != nil {
		spec = *f.Spec
	}
	spec.Entrypoint = b.entrypoint
	spec.AllowNet = joinRules(spec.AllowNet, d.allowed[name])
	old := d.functions[name]
	if old != nil && bytes.Equal(b.archive, old.archive) && reflect.DeepEqual(spec, old.spec) && maps.Equal(f.Timers, old.timers) {
		return errUnchanged
	}
	if gone := d.leaving[name]; gone != nil { // it comes back, and its name is free only then
		select {
		case <-gone:
			delete(d.leaving, name)
		case <-time.After(reloadPatience):
		}
	}
	if _, err := d.host.Catalog().DeployTransient(access.Operator, name, spec, b.code); err != nil {
		return err
	}
	if old == nil || !slices.Equal(b.notes, old.notes) {
		d.terminal.note(b.notes...)
	}
	var timers map[string]timerFlags
	if old != nil {
		timers = old.timers
	}
	d.functions[name] = &deployment{b.archive, spec, f.Timers, b.notes, *f}
	if err := setLocalTimers(context.Background(), d.host.Events(), name, timers, f.Timers); err != nil {
		d.terminal.say("%s: %v", name, err)
	}
	return nil
}

// errUnchanged means that what was saved makes no difference, or is no part of the code.
var errUnchanged = errors.New("unchanged")

// reload deploys what has changed. What can't be read stays as it was.
func (d *deployments) reload(e *edition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.Err != "" {
		if e.Err != d.failed {
			d.terminal.say("not reloaded: %s", e.Err)
		}
		d.failed = e.Err
		return
	}
	d.failed = ""
	there := map[string]bool{}
	for i := range e.Functions {
		f := &e.Functions[i]
		name := cmp.Or(d.name, f.Name)
		there[name] = true
		if !f.Known {
			d.reloadOne(name, f)
		}
	}
	for name := range d.functions {
		if !there[name] {
			delete(d.functions, name)
			d.terminal.say("%s is no longer served", name)
			gone := make(chan struct{})
			d.leaving[name] = gone
			d.retiring.Go(func() {
				defer close(gone)
				_ = d.host.Catalog().DeleteFunction(context.Background(), access.Operator, name) // it is there
			})
		}
	}
}

func (d *deployments) reloadOne(name string, f *functionEdition) {
	start, prefix := time.Now(), ""
	if d.name == "" {
		prefix = name + ": "
	}
	switch err := d.deploy(name, f); {
	case err == errUnchanged:
	case err != nil:
		d.terminal.say("%snot reloaded: %v", prefix, err)
	default:
		d.terminal.say("%sreloaded in %d ms", prefix, time.Since(start).Milliseconds())
		// Calls in progress finish on the version they began on.
		d.retiring.Go(func() { _ = d.host.Catalog().Retire(context.Background(), access.Operator, name) }) // it is there
		d.retiring.Go(d.sample)
	}
}

// allow lets a function reach what a rule says, as it is now and will be.
func (d *deployments) allow(name, rule string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.allowed[name] = joinRules(d.allowed[name], rule)
	if f := d.functions[name]; f != nil {
		d.reloadOne(name, &f.edition)
	}
}
