package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"vivarium/web/api"
)

// Snippets find what those before them left, in a fork too, and failures have their exit code.
func TestSession_KeepsWhatSnippetsLeave(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	id := strings.TrimSpace(must(t, "session", "start", "--memory", "256", "--env", "NAME=Ann", "--idle", "5m"))
	t.Cleanup(func() { execute("", "session", "end", id) })
	if out := must(t, "session", "run", id, "import os\nx = [os.environ['NAME']]\nprint('set')"); out != "set\n" {
		t.Errorf("got %q", out)
	}
	fork := strings.TrimSpace(must(t, "session", "fork", id))
	if code, out, messages := execute("x.append(2)\nx", "session", "run", id, "@-"); code != 0 || out != "['Ann', 2]\n" {
		t.Errorf("exit code %d, %q, %s", code, out, messages)
	}
	if out := must(t, "session", "run", fork, "x"); out != "['Ann']\n" {
		t.Errorf("the fork has %q", out)
	}
	code, out, messages := execute("", "session", "run", id, "import sys\nprint('seen', file=sys.stderr)\n1 / 0")
	if code != ExitFunction || out != "" || !strings.Contains(messages, "seen") || !strings.Contains(messages, "ZeroDivisionError") {
		t.Errorf("an exception: exit code %d, %q, %s", code, out, messages)
	}
	var list []api.Session
	if err := json.Unmarshal([]byte(must(t, "session", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	parents := map[string]string{}
	for _, s := range list {
		parents[s.ID] = s.ParentID
	}
	if parent, ok := parents[fork]; !ok || parent != id {
		t.Errorf("the list is %+v", list)
	}
	if table := must(t, "session", "list"); !strings.Contains(table, fork) || !strings.Contains(table, "SNIPPETS") {
		t.Errorf("the list is %s", table)
	}
	if metrics := get(t, shared, "/metrics").body; !strings.Contains(metrics, "vivarium_sessions "+strconv.Itoa(len(list))+"\n") {
		t.Errorf("the metrics tell of other sessions than %d", len(list))
	}
	must(t, "session", "end", fork)
	for _, args := range [][]string{{"run", fork, "x"}, {"fork", fork}, {"end", fork}} {
		if code, _, messages := execute("", append([]string{"session"}, args...)...); code != ExitFailure || !strings.Contains(messages, "not found") {
			t.Errorf("%v of a session that has ended: exit code %d, %s", args, code, messages)
		}
	}
	if code, _, messages := execute("", "session", "start", "--memory", "100"); code != ExitFailure || !strings.Contains(messages, "128") {
		t.Errorf("exit code %d, %s", code, messages)
	}
}
