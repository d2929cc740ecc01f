package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vivarium/host"
	"vivarium/wasm/vfs"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"
)

// serveCommand is `vivarium serve`.
type serveCommand struct {
	Listen    string    `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on. Port 0 takes a free one. (${default})"`
	Functions []string  `placeholder:"DIR" help:"Serve each folder in DIR that has a main.py, under the folder's name; may be given more than once."`
	Function  []string  `placeholder:"NAME=PATH[:FILE.FUNCTION]" sep:"none" help:"Serve the code at PATH as NAME; may be given more than once."`
	Data      string    `placeholder:"DIR" xor:"store" help:"Keep functions that are deployed, their logs and queued calls in this folder."`
	NATS      string    `name:"nats" placeholder:"URL" xor:"store" help:"Keep them in NATS servers with JetStream instead, as in nats://HOST:4222."`
	MaxMemory megabytes `placeholder:"MB" help:"Memory that all instances may take together, beyond what they share. Default: three quarters of the machine's."`
	playFlags
	limits
}

// Help is shown by `vivarium serve --help`.
func (*serveCommand) Help() string {
	return `The management API is below /functions/v1, where openapi.json describes it. Functions named by --functions and
--function are served from these folders alone: memory, timeout and environment apply to each of them, and
nothing of them is kept.

Examples:
  vivarium serve --data ./data
  vivarium serve --functions examples
  vivarium serve --function hello=hello.py --function api=./api:app.handle`
}

// served is a function that is to be served.
type served struct {
	name   string
	source *source
	code   *vfs.Tree
	spec   host.VersionSpec
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, s *session) error {
	functions, err := c.find()
	if err != nil {
		return err
	}
	for i := range functions {
		if err := functions[i].read(c.limits); err != nil {
			return err
		}
	}
	listener, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	terminal := newTerminal(s.stderr)
	platform, err := openPlatform(ctx, s, terminal, platformConfig{data: c.Data, nats: c.NATS, memory: int64(c.MaxMemory) << 20})
	if err != nil {
		return err
	}
	defer platform.close()
	terminal.prefix = func(id string) string {
		v, err := platform.host.Resolve(id, "")
		if err != nil {
			return id + ": "
		}
		return v.FunctionName + ": "
	}
	for _, f := range functions {
		if _, err := platform.host.Deploy(f.name, f.spec, f.code); err != nil {
			return fmt.Errorf("%s: %w", f.source.path, err)
		}
	}
	play, err := c.playground(listener.Addr(), platform.host)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "vivarium: serving on http://%s\n", listener.Addr())
	fmt.Fprintf(s.stdout, "vivarium: console on http://%s%s/\n", listener.Addr(), console.Path)
	for _, f := range functions {
		printCurl(s.stdout, listener.Addr(), f.name)
	}
	warnOpen(terminal, listener.Addr(), "call these functions, and deploy others")
	management := api.New(api.Config{Host: platform.host, Version: programVersion()})
	server := web.New(web.Config{
		Version: programVersion(), Management: management, Play: play, Console: console.Handler(), OnDrain: management.EndStreams, Ready: platform.ready,
		Stats: platform.host.Stats, Backlog: platform.backlog(),
	}, &watchedFunctions{Host: platform.host, terminal: terminal})
	return server.Serve(ctx, listener)
}

// read reads the function's code.
func (f *served) read(l limits) error {
	bundle, err := f.source.read()
	if err != nil {
		return err
	}
	f.code = bundle.code
	f.spec, err = l.spec(bundle.entrypoint)
	return err
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

// findIn returns the functions in the folders of dir.
func findIn(dir string) ([]served, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--functions: %w", err)
	}
	var found []served
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, mainFile)); err != nil {
			continue
		}
		source, err := openSource(path, "")
		if err != nil {
			return nil, err
		}
		found = append(found, served{name: nameOf(path), source: source})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("--functions %s: no folder in it has a %s", dir, mainFile)
	}
	return found, nil
}

// listen opens the address.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --listen, 127.0.0.1:0 takes a free port", err)
	}
	return l, nil
}

// printCurl prints a command that calls a function.
func printCurl(w io.Writer, address net.Addr, name string) {
	fmt.Fprintf(w, "curl -H 'Content-Type: application/json' -d '{\"hello\": \"world\"}' 'http://%s/%s?param=one'\n", address, name)
}

// warnOpen says so when others than this machine can do something.
func warnOpen(t *terminal, address net.Addr, what string) {
	if tcp, ok := address.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		t.say("whoever reaches %s may %s: there is no authentication", address, what)
	}
}
