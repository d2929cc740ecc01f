package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// ending returns a function that handles a signal in some way.
func ending(signal, handler string) string {
	return fmt.Sprintf(`import logging, signal, sys

def end(number, frame):
    %s

signal.signal(signal.%s, end)

def handler(event, context):
    return {'body': 'called'}
`, handler, signal)
}

// When the server ends, each instance that has a handler of SIGTERM runs it, whatever it
// does, and the others do not wait for it.
func TestSignal_BeforeAnInstanceEnds(t *testing.T) {
	functions := map[string]struct {
		code, env string
		want      string // in the log; empty: nothing
	}{
		"sig-prints":  {ending("SIGTERM", "print('bye', number)"), "", "sig-prints: bye 15\n"},
		"sig-int":     {ending("SIGINT", "print('bye', number)"), "X_YCF_GRACEFUL_SHUTDOWN_SIGNAL_SIGINT=1", "sig-int: bye 2\n"},
		"sig-not-int": {ending("SIGINT", "print('bye', number)"), "", ""},
		"sig-none":    {ending("SIGTERM", "print('bye', number)"), "X_YCF_NO_GRACEFUL_SHUTDOWN_SIGNAL=1", ""},
		"sig-raises":  {ending("SIGTERM", "raise ValueError('at the end')"), "", "sig-raises: ValueError: at the end\n"},
		"sig-exits":   {ending("SIGTERM", "print('leaving'); sys.exit(3)"), "", "sig-exits: leaving\n"},
		"sig-spins":   {ending("SIGTERM", "print('spinning', flush=True)\n    while True: pass"), "", "sig-spins: spinning\n"},
		"sig-ignores": {"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + answering("called"), "", ""},
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--timeout", "60s"}
	p := startFor(t, args...)
	t.Setenv("VIVARIUM_SERVER", p.url)
	for name, f := range functions {
		deploy := []string{"deploy", name, writeFiles(t, map[string]string{"main.py": f.code}), "--timeout", "60s"}
		if f.env != "" {
			deploy = append(deploy, "--env", f.env)
		}
		must(t, deploy...)
		if got := get(t, p, "/"+name); got.body != "called" {
			t.Fatalf("%s: got %d %s", name, got.status, got.body)
		}
	}
	p.stop()
	log := p.stderr.String()
	for name, f := range functions {
		if f.want != "" && !strings.Contains(log, f.want) {
			t.Errorf("%s: %q is not in the log", name, f.want)
		}
		if f.want == "" && strings.Contains(log, name+": bye") {
			t.Errorf("%s: its handler ran", name)
		}
	}
	if t.Failed() {
		t.Log(log)
	}
}

// A version that another one takes the place of ends in the same way.
func TestSignal_WhenAVersionIsReplaced(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": ending("SIGTERM", "logging.getLogger().warning('bye')")})
	p := startFor(t, "dev", dir, "--name", "hello", "--listen", "127.0.0.1:0", "--timeout", "60s")
	if got := get(t, p, "/hello"); got.body != "called" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	writeFile(t, dir+"/main.py", answering("new"))
	if got := get(t, p, "/hello"); got.body != "new" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	eventually(t, func() string {
		if log := p.stderr.String(); !strings.Contains(log, "[WARNING]") || !strings.Contains(log, "\tbye") {
			time.Sleep(10 * time.Millisecond)
			return log
		}
		return ""
	})
}
