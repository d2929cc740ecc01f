package cli

import (
	"strings"
	"testing"

	"vivarium/host/fault"
)

func TestInstallHint_KnowsPackages(t *testing.T) {
	for message, want := range map[string]string{
		"No module named 'httpx'": "write httpx ", "No module named 'PIL.Image'": "write Pillow ", "No module named 'sentry_sdk'": "write sentry-sdk ",
		"No module named 'distutils'": "write standard-distutils ",
		"No module named 'helpers'":   "", "cannot import name 'x'": "",
	} {
		got := installHint(&fault.FunctionError{Type: "ModuleNotFoundError", Message: message})
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

// What users try, and where they get stuck.
func TestMessages_SayWhatToWrite(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	needs := writeFiles(t, map[string]string{"main.py": "import httpx\ndef handler(event, context):\n    return {}\n"})
	works := writeFiles(t, map[string]string{"main.py": answering("x")})
	stops := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    breakpoint()\n"})
	must(t, "deploy", "stuck", works)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--version"}, ExitOK, "vivarium "}, {[]string{"help"}, ExitOK, "Usage: vivarium"},
		{[]string{"help", "deploy"}, ExitOK, "Usage: vivarium deploy"}, {[]string{"run", works, "-e", "main:handler"}, ExitFailure, "main.handler"},
		{[]string{"run", stops}, ExitFunction, "breakpoint() needs run or dev with --debug"},
		{[]string{"run", needs}, ExitFunction, "write httpx into a requirements.txt"},
		{[]string{"deploy", "lacking", needs}, ExitFailure, "write httpx into a requirements.txt"},
		{[]string{"invoke", "stuck", "--tag", "prod"}, ExitFailure, "vivarium version list stuck"},
		{[]string{"invoke", "stuck", "--async"}, ExitFailure, "--async-retries"},
		{[]string{"function", "get", "stuck"}, ExitOK, shared.url + "/stuck\n"},
		{[]string{"deploy", "stuck", works}, ExitOK, shared.url + "/stuck\n"},
		{[]string{"function", "delete", "stuck", "--yes"}, ExitOK, "deleted stuck"},
	} {
		code, stdout, stderr := execute("", c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%q: exit code %d, want %d and %q in: %s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
	p := startFor(t, "serve", "--listen", "0", "--functions", "../../examples")
	if !strings.HasPrefix(p.url, "http://127.0.0.1:") {
		t.Errorf("it listens on %s", p.url)
	}
}
