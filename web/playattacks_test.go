package web

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
)

// hostAttacks has package host's suites of attacks on functions; README.md
// there describes the files.
const hostAttacks = "../host/testdata/attacks"

// TestPlay_Attacks makes some of them as anonymous snippets: each must end as
// it does there, while another caller of a function is served.
func TestPlay_Attacks(t *testing.T) {
	config := openPlay
	config.MaxTimeout = time.Minute
	engines, err := realEngines()
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Engines: engines})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	code, err := run.CodeFromFiles(map[string]string{"main.py": "def handler(event, context): return event + 1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Catalog().DeployTransient(access.Operator, "neighbour", catalog.VersionSpec{Entrypoint: "main.handler", Timeout: time.Minute}, code); err != nil {
		t.Fatal(err)
	}
	play, err := NewPlay(config, h.Runner())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Play: play}, h)
	for _, pattern := range snippetAttacks {
		files, err := filepath.Glob(filepath.Join(hostAttacks, pattern+".txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no attacks: %v", pattern, err)
		}
		for _, file := range files {
			a := readSnippetAttack(t, file)
			if a == nil {
				continue
			}
			name, _ := filepath.Rel(hostAttacks, strings.TrimSuffix(file, ".txtar"))
			t.Run(name, func(t *testing.T) { a.run(t, s, h) })
		}
	}
}

// snippetAttacks are the attacks to make.
var snippetAttacks = []string{
	"cross_tenant/*",
	"exhaust_cpu/a-loop-*", "exhaust_cpu/a-sleep-*", "exhaust_cpu/a-catastrophic-*", "exhaust_cpu/handing-over-*",
	"exhaust_memory/a-doubling-list-*", "exhaust_memory/a-huge-exception-*", "exhaust_memory/recursion-in-c-*",
	"exhaust_host_buffers/a-flood-of-output-*", "exhaust_host_buffers/a-forged-error-*", "exhaust_host_buffers/an-answer-*",
	"exhaust_host_buffers/deep-json-*", "exhaust_host_buffers/the-log-of-a-call-*",
}

// snippetAttack is an attack with its expected outcome.
type snippetAttack struct {
	request map[string]any
	answer  string
	errors  []string
}

// readSnippetAttack reads an attack. It returns nil if no snippet could make
// it, because it needs several calls of one instance or more memory.
func readSnippetAttack(t *testing.T, path string) *snippetAttack {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	a := &snippetAttack{request: map[string]any{"files": files, "mode": "raw", "event": "attack", "timeoutMS": 20_000, "memoryMB": 128}}
	for _, name := range []string{"main.py", "defence.py"} {
		source, err := os.ReadFile(filepath.Join(hostAttacks, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(source)
	}
	for _, f := range archive.Files {
		if f.Name != "limits" && f.Name != "want" {
			files[f.Name] = string(f.Data)
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch name {
			case "calls", "event":
				return nil
			case "timeout":
				timeout, err := time.ParseDuration(value)
				if err != nil {
					t.Fatal(err)
				}
				a.request["timeoutMS"] = timeout.Milliseconds()
			case "memory":
				megabytes, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				if megabytes > DefaultPlayMemoryMB {
					return nil
				}
				a.request["memoryMB"] = megabytes
			case "env":
				name, value, _ := strings.Cut(value, "=")
				a.request["environment"] = map[string]string{name: value}
			case "answer":
				a.answer = value
			case "error":
				a.errors = strings.Split(value, " or ")
			}
		}
	}
	return a
}

// run makes the attack.
func (a *snippetAttack) run(t *testing.T, s *testServer, h *host.Host) {
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	others.Go(func() {
		for n := 0; ; n++ {
			answer := do(t, "POST", s.url+"/neighbour?integration=raw", strconv.Itoa(n))
			if answer.StatusCode != http.StatusOK || answer.text != strconv.Itoa(n+1) {
				t.Errorf("the neighbour: got %d %s", answer.StatusCode, answer.text)
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	body, err := json.Marshal(a.request)
	if err != nil {
		t.Fatal(err)
	}
	p := s.play(t, string(body))
	switch {
	case a.answer != "" && (p.Outcome != playOK || p.Body != a.answer):
		t.Errorf("got %s, %.500s, %.500s, want %s", p.Outcome, p.Body, p.Error.ErrorMessage, a.answer)
	case a.answer == "" && !slices.Contains(a.errors, p.Error.ErrorType):
		t.Errorf("got %s, %s, %.500s, want an error %v", p.Outcome, p.Error.ErrorType, p.Body, a.errors)
	}
	if size := len(p.text); size > maxPlayRequest+4*maxPlayBody {
		t.Errorf("the answer has %d bytes", size)
	}
	if s := h.Stats(); s.Memory > 16<<20 { // the neighbour's
		t.Errorf("left behind: %+v", s)
	}
}
