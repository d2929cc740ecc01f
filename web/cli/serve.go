package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/quota"
	"vivarium/host/throttle"
	"vivarium/wasm/vfs"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"
	"vivarium/web/grpcapi"
	"vivarium/web/manage"
	"vivarium/web/mcp"
)

// serveCommand implements `vivarium serve`.
type serveCommand struct {
	Functions               []string         `placeholder:"DIR" help:"Serve the functions of the vivarium.yaml in DIR or, without one, each folder in DIR that has a main.py or index.py, under the folder's name; may be given more than once."`
	Function                []string         `placeholder:"NAME=PATH[:FILE.FUNCTION]" sep:"none" help:"Serve the code at PATH as NAME; may be given more than once."`
	Data                    string           `placeholder:"DIR" xor:"store" help:"Keep deployed functions, their logs and queued calls in this folder."`
	NATS                    string           `name:"nats" placeholder:"URL" xor:"store" help:"Keep them in NATS servers with JetStream instead, as in nats://HOST:4222."`
	NATSReplicas            int              `name:"nats-replicas" placeholder:"N" help:"How many of the NATS servers keep a copy of everything: 1, 3 or 5. Default: as many as do, or 1 at the first start."`
	MaxMemory               megabytes        `placeholder:"MB" help:"Memory for all instances together, beyond what they share. Default: three quarters of the machine's."`
	MaxImageDisk            megabytes        `placeholder:"MB" help:"Disk space for the images of all versions together; the least recently used go first. Default: a quarter of the disk, at most 16384."`
	MaxConnections          int              `placeholder:"N" help:"Maximum number of connections; -1 means no limit. Default: 4096."`
	MaxConnectionsPerClient int              `placeholder:"N" help:"Maximum number of connections from one address; -1 means no limit, as behind a proxy. Default: 1024."`
	Quota                   map[string]int64 `placeholder:"NAME=N" help:"Quota of each tenant, unless set by vivarium tenant quota, as in functions=100;instances=20; -1 means no limit."`
	NoHistory               bool             `help:"Keep no calls: neither events nor answers."`
	Redact                  []string         `sep:"," placeholder:"NAMES" help:"Names of headers and fields whose values are not kept in the history of calls, besides the usual ones, such as Authorization, Cookie and password."`
	playFlags
	listening
	limits
	secretKeys
	natsFlags
	nodeFlags
	objectStorageFlag
	confining
}

// What each function may make the server print, in bytes: a terminal, or a
// journal behind it, is read by people and shared by all functions.
const (
	terminalRate  = 64 << 10 // per second
	terminalBurst = 1 << 20
)

// Help is shown by `vivarium serve --help`.
func (*serveCommand) Help() string {
	return `The management API is below /functions/v1, where openapi.json describes it. Functions named by --functions and
--function are served from these folders alone: memory, timeout and environment apply to each of them, and
nothing of them is kept. Where a folder of functions has a vivarium.yaml, that says which there are, and their settings.

Examples:
  vivarium serve --data ./data
  vivarium serve --data ./data --listen :443 --tls-cert cert.pem --tls-key key.pem
  vivarium serve --functions examples
  vivarium serve --function hello=hello.py --function api=./api:app.handle`
}

// served is a function to be served.
type served struct {
	name   string
	source *source
	found  bool             // found in a folder of functions, rather than named by the user
	said   *projectFunction // in the folder's projectFile; nil if it has none
	code   *vfs.Tree
	spec   catalog.VersionSpec
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, s *session) error {
	functions, err := c.find()
	if err != nil {
		return err
	}
	terminal := newTerminal(s.stderr)
	terminal.limit = throttle.New(terminalRate, terminalBurst)
	functions, err = servable(functions, terminal, func(f *served) error { return f.read(c.limits, terminal) })
	if err != nil {
		return err
	}
	for i := range functions {
		if err := functions[i].refer(c.where() != "", terminal); err != nil {
			return err
		}
	}
	if c.NATSReplicas < 0 || c.NATSReplicas > 5 {
		return fmt.Errorf("--nats-replicas %d: JetStream keeps 1 to 5 copies; 3 outlive one server", c.NATSReplicas)
	}
	var quotas quota.Amounts
	for name, n := range c.Quota {
		quota, ok := quota.Of(name)
		if !ok {
			return fmt.Errorf("--quota %s: no such quota; vivarium tenant quota --help names all", name)
		}
		quotas[quota] = n
	}
	keys, err := c.keyring(terminal)
	if err != nil {
		return err
	}
	listener, err := c.open(terminal.say)
	if err != nil {
		return err
	}
	defer listener.Close()
	node, err := c.listen(c.NATS)
	if err != nil {
		return err
	}
	defer node.close()
	if where := c.where(); where == "" {
		if err := c.mayServe(listener, false, where); err != nil {
			return err
		}
	}
	telemetry, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	packages, err := c.objectStorage(ctx)
	if err != nil {
		return err
	}
	reach, err := c.reach(s, telemetry.reach(), packages.reach())
	if err != nil {
		return err
	}
	reach.ports = node.reach()
	confined, err := s.confine(c.confining, reach)
	if err != nil {
		return err
	}
	defer confined.close()
	packages.by(confined.ownDialer)
	confined.tell(terminal)
	platform, err := openPlatform(ctx, s, terminal, platformConfig{
		data: c.Data, nats: c.NATS, cluster: node != nil, servers: c.natsFlags, copies: c.NATSReplicas,
		memory: int64(c.MaxMemory) << 20, images: int64(c.MaxImageDisk) << 20,
		quotas: quotas, temp: confined.temp, secrets: keys, noCalls: c.NoHistory, redact: c.Redact,
		egress: c.AllowNet.policy(), trying: c.PlayAllowNet.policy(), dialer: confined.dialer,
	})
	if err != nil {
		return err
	}
	defer platform.close()
	if err := c.mayServe(listener, platform.host.Keys().Exist(), c.where()); err != nil {
		return err
	}
	terminal.prefix = platform.prefix
	functions, err = servable(functions, terminal, func(f *served) error {
		if _, err := platform.host.Catalog().DeployTransient(access.Operator, f.name, f.spec, f.code); err != nil {
			return fmt.Errorf("%s: %w", f.source.path, err)
		}
		return f.schedule(ctx, platform, terminal)
	})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(s.stderr, nil))
	if err := node.join(platform, log); err != nil {
		return err
	}
	defer node.close() // before the platform: the others are told what it has
	peers, images := node.peers(platform)
	play, err := c.playground(listener.Addr(), platform.host)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // what starting has left: a third of what an idle server would have
	fmt.Fprintf(s.stdout, "vivarium: serving on %s\n", listener.url())
	fmt.Fprintf(s.stdout, "vivarium: console on %s%s/\n", listener.url(), console.Path)
	for _, f := range functions {
		printCurl(s.stdout, listener.url(), f.name)
	}
	c.warn(terminal, listener, platform.host.Keys(), "call these functions, and deploy others")
	desk := manage.New(platform.host)
	management := api.New(api.Config{
		Host: platform.host, Desk: desk, Version: programVersion(), Accept: web.Accept, Objects: packages.storage(),
		Cluster: node.members(), Elsewhere: peers,
	})
	rpc := grpcapi.New(grpcapi.Config{Host: platform.host, API: management, Desk: desk})
	config := web.Config{
		Version: programVersion(), Management: management, RPC: rpc, Play: play, Console: console.Handler(),
		Tools:       func(next http.Handler) http.Handler { return mcp.NewHandler(next, desk, programVersion()) },
		OnDrain:     func() { node.leave(); management.EndStreams(); rpc.EndStreams() },
		Confinement: confined.lines,
		Ready:       func(ctx context.Context) error { return errors.Join(confined.ready(), platform.store.Ready(ctx)) },
		Cluster:     node.members(), Revisions: platform.store, Figures: platform.host.Runner().Figures,
		Images: images,
		Stats:  platform.host.Stats, Tenants: platform.tenants, Backlog: platform.store.Queue.Len,
		MaxConnections: c.MaxConnections, MaxConnectionsPerClient: c.MaxConnectionsPerClient,
	}
	c.configure(&config, listener, platform.host.Keys())
	if config.Tracer, err = telemetry.trace(ctx, confined.ownDialer, log); err != nil {
		return err
	}
	defer telemetry.close()
	server := web.New(config, &watchedFunctions{Host: platform.host, terminal: terminal})
	if err := telemetry.measure(ctx, server); err != nil {
		return err
	}
	return node.serve(ctx, server, listener)
}

// reach returns what serving needs of the system, among it what the rules of own say. The code
// of functions is read before that.
func (c *serveCommand) reach(s *session, own ...[]string) (a reach, err error) {
	a = reach{nats: c.NATS, read: append(c.certificates(), c.natsFlags.files()...), egress: c.AllowNet.policy()}
	if rules := slices.Concat(own...); len(rules) > 0 {
		if a.own, err = egress.ParsePolicy(strings.Join(rules, ",")); err != nil {
			return a, err
		}
	}
	if c.Data != "" {
		a.write = append(a.write, c.Data)
	}
	if images := s.imageDir(c.Data, c.NATS, c.NATSPrefix); images != "" {
		a.write = append(a.write, images)
	}
	return a, nil
}

// where returns the flag that names the store of functions and keys; empty if
// there is none.
func (c *serveCommand) where() string {
	switch {
	case c.Data != "":
		return "--data " + c.Data
	case c.NATS != "":
		return "--nats " + c.NATS
	}
	return ""
}

// servable returns the functions for which do succeeds. Of those found in a
// folder of functions the others are skipped, with a message to the user: they
// need not all be the user's own.
func servable(functions []served, t *terminal, do func(*served) error) ([]served, error) {
	var able []served
	var failed error
	for _, f := range functions {
		err := do(&f)
		switch {
		case err == nil:
			able = append(able, f)
		case !f.found:
			return nil, err
		default:
			t.say("not served: %v", err)
			failed = err
		}
	}
	if len(able) == 0 && failed != nil {
		return nil, failed
	}
	return able, nil
}

// read reads the function's code.
func (f *served) read(l limits, t *terminal) error {
	bundle, err := f.source.read()
	if err != nil {
		return err
	}
	t.note(bundle.notes...)
	f.code = bundle.code
	if f.said != nil {
		f.spec = f.said.spec
		f.spec.Entrypoint = bundle.entrypoint
		return nil
	}
	f.spec, err = l.spec(bundle.entrypoint)
	return err
}

// refer has the function get the secrets that its projectFile names. Where there is no
// store for any, it has what the file's own variables say, as in dev.
func (f *served) refer(stored bool, t *terminal) error {
	if f.said == nil {
		return nil
	}
	if !stored {
		f.said.tellSecrets(t, "a server without --data or --nats")
		return nil
	}
	secrets, err := references(f.said.Secret)
	for _, s := range secrets {
		f.spec.Secrets = append(f.spec.Secrets, catalog.SecretReference(s))
		delete(f.spec.Environment, s.Variable)
	}
	return err
}

// schedule makes the function's timers, where nothing of them is kept.
func (f *served) schedule(ctx context.Context, p *platform, t *terminal) error {
	if f.said == nil || len(f.said.Timers) == 0 {
		return nil
	}
	if p.store.Durable {
		t.say("%s: its timers don't tick: only those of deployed functions are kept; vivarium deploy does both", f.name)
		return nil
	}
	return setLocalTimers(ctx, p.host.Events(), f.name, nil, f.said.Timers)
}

// find returns the functions that the flags name, by name.
func (c *serveCommand) find() ([]served, error) {
	var all []served
	for _, dir := range c.Functions {
		found, err := findIn(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for _, f := range c.Function {
		name, path, ok := strings.Cut(f, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--function %s: write NAME=PATH or NAME=PATH:FILE.FUNCTION", f)
		}
		entrypoint := ""
		if _, err := os.Stat(path); err != nil { // a colon can be part of a path
			if i := strings.LastIndexByte(path, ':'); i > 0 {
				path, entrypoint = path[:i], path[i+1:]
			}
		}
		source, err := openSource(path, entrypoint)
		if err != nil {
			return nil, fmt.Errorf("--function %s: %w", f, err)
		}
		all = append(all, served{name: name, source: source})
	}
	if len(all) == 0 && c.Data == "" && c.NATS == "" && (c.Playground == nil || !*c.Playground) {
		return nil, errors.New("nothing to serve: give --functions DIR or --function NAME=PATH, --data DIR to keep what is deployed, or --playground")
	}
	slices.SortStableFunc(all, func(a, b served) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.name == b.name {
			return nil, fmt.Errorf("two functions are called %s: %s and %s; rename one", a.name, a.source.path, b.source.path)
		}
	}
	return all, nil
}

// findIn returns the functions that the projectFile of dir has, or, without one, those in
// the subfolders of dir.
func findIn(dir string) ([]served, error) {
	if hasProject(dir) {
		p, err := readProject(dir)
		if err != nil {
			return nil, fmt.Errorf("--functions: %w", err)
		}
		var all []served
		for _, f := range p.functions {
			all = append(all, served{name: f.name, source: f.source, found: true, said: f})
		}
		return all, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--functions: %w", err)
	}
	var found []served
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !slices.ContainsFunc(handlerFiles[:], func(name string) bool {
			_, err := os.Stat(filepath.Join(path, name))
			return err == nil
		}) {
			continue
		}
		source, err := openSource(path, "")
		if err != nil {
			return nil, err
		}
		found = append(found, served{name: nameOf(path), source: source, found: true})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("--functions %s: no folder in it has a %s or %s", dir, handlerFiles[0], handlerFiles[1])
	}
	return found, nil
}

// printCurl prints a command that calls a function.
func printCurl(w io.Writer, base, name string) {
	fmt.Fprintf(w, "curl -H 'Content-Type: application/json' -d '{\"hello\": \"world\"}' '%s/%s?param=one'\n", base, name)
}
