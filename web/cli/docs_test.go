package cli

import (
	"net/http"
	"strings"
	"testing"
)

func TestDocs(t *testing.T) {
	p := startFor(t, "docs", "--no-browser", "dead", "letters & more")
	if line := p.ready[0]; !strings.HasSuffix(line, "/search.html?q=dead+letters+%26+more") {
		t.Errorf("it says %s", line)
	}
	if got := get(t, p, "/tutorial.html"); got.status != http.StatusOK || !strings.Contains(got.body, "Send at least one value.") {
		t.Errorf("got %d, %d bytes", got.status, len(got.body))
	}
	if code, _, stderr := execute("", "docs", "--listen", strings.TrimPrefix(p.url, "http://")); code != ExitFailure || !strings.Contains(stderr, "--listen: ") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// What the reference says is Markdown: nothing of the help texts steers it.
func TestReference(t *testing.T) {
	texts := map[string]string{}
	for _, p := range Reference() {
		texts[p.Name] = p.Text
	}
	for name, wants := range map[string][]string{
		"vivarium":        {"[vivarium deploy](vivarium-deploy.md)\n: Send a folder's code", "`--cache-dir=DIR`\n: ", "## Exit codes"},
		"vivarium-timer":  {"## timer create\n", "```text\nvivarium timer create --cron=EXPRESSION <name> <function> [flags]\n```", "```sh\nvivarium timer create nightly"},
		"vivarium-deploy": {"`-e`, `--entrypoint=FILE.FUNCTION`\n: The handler.", `api.telegram.org,\*.example.com:443`},
	} {
		for _, want := range wants {
			if !strings.Contains(texts[name], want) {
				t.Errorf("%s does not have %q:\n%s", name, want, texts[name])
			}
		}
	}
	if _, ok := texts["vivarium-version"]; !ok || len(texts) < 15 {
		t.Errorf("%d pages", len(texts))
	}
}
