package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/web"
)

// devCommand implements `vivarium dev`.
type devCommand struct {
	codePath
	Name   string `placeholder:"NAME" help:"Name of the function, which is its path in the URL. Default: the folder's or file's."`
	Sample string `name:"event-sample" placeholder:"NAME" help:"Call the function with this sample event at the start and after each save: ${samples}."`
	listening
	limits
	installing
	confining
}

// Help is shown by `vivarium dev --help`.
func (*devCommand) Help() string {
	return `Logs and tracebacks appear in the terminal. A saved file is in effect with the next call; code that
can't be loaded is answered with its error until it is mended. Packages that a requirements.txt names are installed at
the start, see "vivarium deploy --help".

Examples:
  vivarium dev examples/api
  vivarium dev examples/timer --event-sample timer
  vivarium dev . --entrypoint app.handle --env LEVEL=debug --timeout 10s`
}

// Run implements the command.
func (c *devCommand) Run(ctx context.Context, s *session) error {
	if c.Sample != "" {
		if _, err := readSample(c.Sample); err != nil {
			return err
		}
	}
	source, err := c.source(ctx, s, c.installing, &c.limits)
	if err != nil {
		return err
	}
	follower, err := s.follow(ctx, source, s.ownsProcess && !c.NoConfine)
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
	}
	bundle, err := first.bundle()
	if err != nil {
		return err
	}
	spec, err := c.spec(bundle.entrypoint)
	if err != nil {
		return err
	}
	terminal := newTerminal(s.stderr)
	terminal.note(bundle.notes...)
	listener, err := c.open(terminal.say)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := c.mayServe(listener, false, ""); err != nil {
		return err
	}
	confined, err := s.confine(c.confining, reach{read: c.certificates(), egress: c.AllowNet.policy()})
	if err != nil {
		return err
	}
	defer confined.close()
	platform, err := openPlatform(ctx, s, terminal, platformConfig{
		runtime: c.Runtime, temp: confined.temp, egress: c.AllowNet.policy(), dialer: confined.dialer,
	})
	if err != nil {
		return err
	}
	defer platform.close()

	d := &deployment{
		name: cmp.Or(c.Name, nameOf(c.Path)), spec: spec, host: platform.host, terminal: terminal, notes: bundle.notes,
	}
	defer d.retiring.Wait()
	err = d.deploy(bundle)
	if e, ok := errors.AsType[*fault.InvalidError](err); ok && e.Field == "name" {
		return fmt.Errorf("%w; choose one with --name", err)
	}
	if err != nil {
		return err
	}
	config := web.Config{Version: programVersion(), Confinement: confined.lines}
	c.configure(&config, listener, platform.host.Keys())
	server := web.New(config, &freshFunctions{&watchedFunctions{Host: platform.host, terminal: terminal}, follower})
	d.sample = c.sample(ctx, s, d, server)
	follower.each(d.reload)
	defer follower.close()

	fmt.Fprintf(s.stdout, "vivarium: serving %s on %s/%s\n", c.Path, listener.url(), d.name)
	printCurl(s.stdout, listener.url(), d.name)
	c.warn(terminal, listener, platform.host.Keys(), "call this function")
	d.retiring.Go(d.sample)
	return server.Serve(ctx, listener)
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

// sample returns a function that sends the sample event and shows the response;
// it does nothing if no event was requested.
func (c *devCommand) sample(ctx context.Context, s *session, d *deployment, server http.Handler) func() {
	if c.Sample == "" {
		return func() {}
	}
	return func() {
		request, err := (&runCommand{EventSample: c.Sample}).request(ctx, s, d.name)
		if err != nil {
			d.terminal.say("event %s: %v", c.Sample, err)
			return
		}
		answer := &answer{header: http.Header{}, status: http.StatusOK}
		server.ServeHTTP(answer, request)
		d.terminal.say("event %s: status %d: %s", c.Sample, answer.status, answer.body.Bytes())
	}
}

// deployment is a function whose code follows a source. Its methods are called
// by one goroutine at a time.
type deployment struct {
	name     string
	spec     catalog.VersionSpec
	host     *host.Host
	terminal *terminal
	sample   func()         // sends the sample event
	archive  []byte         // of the current version
	notes    []string       // that the user has been told
	retiring sync.WaitGroup // old versions with calls in progress, and sample calls
}

// deploy deploys code.
func (d *deployment) deploy(b *bundle) error {
	spec := d.spec
	spec.Entrypoint = b.entrypoint
	if _, err := d.host.Catalog().DeployTransient(access.Operator, d.name, spec, b.code); err != nil {
		return err
	}
	d.archive = b.archive
	return nil
}

// reload deploys the current code. If it can't be read, the previous version
// stays.
func (d *deployment) reload(e *edition) {
	start := time.Now()
	b, err := e.bundle()
	if err == nil && bytes.Equal(b.archive, d.archive) {
		return // saved without a change, or not part of the code
	}
	if err == nil {
		err = d.deploy(b)
	}
	if err != nil {
		d.terminal.say("not reloaded: %v", err)
		return
	}
	if !slices.Equal(b.notes, d.notes) {
		d.terminal.note(b.notes...)
	}
	d.notes = b.notes
	d.terminal.say("reloaded in %d ms", time.Since(start).Milliseconds())
	// Calls in progress finish on the version they began on.
	d.retiring.Go(func() { _ = d.host.Catalog().Retire(context.Background(), access.Operator, d.name) }) // it is there
	d.retiring.Go(d.sample)
}
