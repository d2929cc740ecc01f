package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"

	"vivarium/host/egress"
)

// Main is Run for a program that is nothing but this command line. Commands
// that run functions give up, for good and for the whole process, the rights
// they don't need: a function that breaks out of its sandbox finds itself in a
// second one. Run leaves the process as it is.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runSession(ctx, args, &session{stdin: stdin, stdout: stdout, stderr: stderr, ownsProcess: true})
}

// confining has the flags of commands that run functions.
type confining struct {
	NoConfine bool `help:"Keep all rights of the process. By default, on Linux, it gives up those it does not need once it listens: to start programs, and to use files and network other than its own. For debuggers, and for folders that it can't know of in advance."`
}

// reach is what a command needs of the system while functions run.
type reach struct {
	write []string // folders, recursively; created if missing
	read  []string // files, and folders recursively; skipped if missing
	nats  string   // URLs of servers to connect to, comma-separated
	ports []uint16 // of other nodes; only with nats
	// egress is what functions may reach. Another process connects for them.
	egress *egress.Policy
	// asks lets the terminal widen that.
	asks bool
	// own is what the server itself reaches, besides nats: where traces and metrics go, and
	// where packages come from. Yet another process connects for that.
	own *egress.Policy
}

// confinement is what the process has given up. Close it when nothing that
// needs the temporary folder runs any more.
type confinement struct {
	// temp is a folder for temporary files; empty means the system's.
	temp string
	// lines tell for each measure whether it is in force, as in "seccomp: on".
	lines []string
	// missing are the lines of measures that should be in force and are not.
	missing []string

	// dialer connects for functions; nil means that the process itself does.
	dialer egress.Dialer
	broker *egress.Broker // may be nil
	// allow asks the terminal; nil where the process itself is to.
	allow func(ctx context.Context, rule, who string) bool
	// ownDialer connects for the server; nil means that the process itself does.
	ownDialer egress.Dialer
	ownBroker *egress.Broker // may be nil

	proc *os.File // keeps the rule for /proc/self valid, see openProc
}

// measures are the names at the start of a confinement's lines.
var measures = [...]string{"no_new_privs", "landlock", "seccomp"}

// unconfined returns a confinement with nothing in force.
func unconfined(reason string) *confinement {
	c := &confinement{}
	for _, m := range measures {
		c.lines = append(c.lines, m+": off: "+reason)
	}
	return c
}

// confine gives up what is not in a. Call it after the listener is open and
// before the first guest runs.
//
// # Errors
//
// A system that can't do it is not an error, see confinement.missing.
func (s *session) confine(flags confining, a reach) (*confinement, error) {
	switch {
	case flags.NoConfine:
		return unconfined("--no-confine"), nil
	case !s.ownsProcess:
		return unconfined("others use the process too"), nil
	}
	dir, err := machineCodeDir(s.cacheDir)
	if err == nil { // else there is no such folder; openPlatform reports that
		a.write = append(a.write, dir)
	}
	for _, dir := range a.write {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	var broker *egress.Broker
	if (a.asks || !a.egress.Empty()) && runtime.GOOS == "linux" {
		if broker, err = startBroker(s, a.egress, a.asks); err != nil {
			return nil, err
		}
	}
	var own *egress.Broker
	if !a.own.Empty() && runtime.GOOS == "linux" {
		if own, err = startBroker(s, a.own, false); err != nil {
			return nil, err
		}
	}
	c, err := confineProcess(a)
	if err != nil {
		return c, err
	}
	if broker != nil {
		c.broker, c.dialer = broker, broker
		if a.asks {
			c.allow = broker.Allow
		}
		c.lines = append(c.lines, "broker: on: connects functions to "+a.egress.String())
	}
	if own != nil {
		c.ownBroker, c.ownDialer = own, own
		c.lines = append(c.lines, "broker of the server's own: on: connects it to "+a.own.String())
	}
	return c, nil
}

// ready returns why functions that may connect can't.
func (c *confinement) ready() error {
	if c.broker == nil {
		return nil
	}
	return c.broker.Ready()
}

// close removes the temporary folder. The rights are gone for good.
func (c *confinement) close() {
	if c.temp != "" {
		_ = os.RemoveAll(c.temp) // at worst, an empty folder stays
	}
	if c.proc != nil {
		_ = c.proc.Close()
	}
	for _, broker := range []*egress.Broker{c.broker, c.ownBroker} {
		if broker != nil {
			_ = broker.Close()
		}
	}
}

// tell tells the operator what is in force, and what is missing.
func (c *confinement) tell(t *terminal) {
	t.say("rights given up: %s", strings.Join(c.lines, "; "))
	for _, line := range c.missing {
		t.say("%s; functions are still in their own sandbox", line)
	}
}

// natsPorts returns the TCP ports of the servers.
func natsPorts(urls string) ([]uint16, error) {
	var ports []uint16
	for text := range strings.SplitSeq(urls, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--nats: %w; write nats://HOST:PORT", err)
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
		}
		if port == "" {
			port = "4222"
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("--nats: port %s: write nats://%s", port, net.JoinHostPort(u.Hostname(), "4222"))
		}
		ports = append(ports, uint16(n))
	}
	return ports, nil
}
