package mcp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/tools/txtar"

	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// hostAttacks has package host's suites of attacks on functions; README.md there
// describes the files. TestSessionAttacks there makes all of them in sessions.
const hostAttacks = "../../host/testdata/attacks"

// TestAttacks makes some of them as a model would that means harm: each call is answered,
// with what a model can read, another caller's function answers as before, and nothing
// is left.
func TestAttacks(t *testing.T) {
	s := startServer(t)
	c := s.overHTTP("")
	c.must("deploy_function", m{"name": "neighbour", "files": []m{{"path": "main.py", "text": "def handler(event, context): return event + 1"}}})
	count := 0
	for _, suite := range []string{"corrupt_guest", "cross_tenant", "escape_env", "escape_fs", "exhaust_host_buffers", "next_call"} {
		files, err := filepath.Glob(filepath.Join(hostAttacks, suite, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no attacks: %v", suite, err)
		}
		for n, file := range files {
			if n%5 != 2 {
				continue
			}
			count++
			name := suite + "/" + strings.TrimSuffix(filepath.Base(file), ".txtar")
			r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_code", Arguments: m{
				"code": "import main\nmain.handler('attack', None)", "files": attackFiles(t, file), "timeout_seconds": 5,
			}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			text, err := json.Marshal(r)
			if err != nil || len(text) > 300<<10 || r.IsError {
				t.Errorf("%s: %d bytes: %.500s", name, len(text), text)
			}
			if got := c.must("call_function", m{"name": "neighbour", "event": n})["result"]; got != fmt.Sprint(n+1) {
				t.Errorf("%s: the neighbour answers %v", name, got)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d attacks", count)
	}
	if got := c.must("list_sessions", m{})["sessions"].([]any); len(got) != 0 {
		t.Errorf("sessions are left: %v", got)
	}
	roomtest.Until(t, "nothing is in progress", func() bool {
		l := s.host.Ledger()
		return l.Held(quota.Session) == 0 && l.Held(quota.Body) == 0 && l.Held(quota.Call) == 0
	})
}

// attackFiles returns the files of an attack.
func attackFiles(t *testing.T, path string) (files []m) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range []string{"main.py", "defence.py"} {
		source, err := os.ReadFile(filepath.Join(hostAttacks, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(source)
	}
	for _, f := range archive.Files {
		texts[f.Name] = string(f.Data) // limits and want do no harm
	}
	for name, text := range texts {
		files = append(files, m{"path": name, "text": text})
	}
	return files
}
