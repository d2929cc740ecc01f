package main

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/tools/txtar"
)

//go:embed functions/*.py
var sources embed.FS

// function is a deployed function.
type function struct {
	*client
	name     string
	secret   string // its tenant's; attackers have none
	id       string
	version  atomic.Pointer[string] // id of the newest
	code     map[string][]byte
	entry    string
	talks    bool // to the peer
	broken   bool // is deployed even if it does not load
	timeout  time.Duration
	memoryMB int
	async    bool
}

// secretPrefix begins every tenant's secret, and noncePrefix every call's
// nonce. Where they turn up unexpectedly, something was crossed.
const (
	secretPrefix = "secret-"
	noncePrefix  = "nonce-"
)

// newFunction returns a function of a tenant, from one of our sources; deploy
// it before use.
func (d *driver) newFunction(tenant, source, handler string) *function {
	file := source + ".py"
	text, err := sources.ReadFile("functions/" + file)
	if err != nil { // it is embedded
		panic(err)
	}
	return &function{
		client: d.client(tenant), name: tenant + "-" + strings.ReplaceAll(handler, "_", "-"),
		code: map[string][]byte{file: text}, entry: source + "." + handler, memoryMB: 128, timeout: time.Minute,
	}
}

// create creates the function and its first version.
func (f *function) create(ctx context.Context) error {
	var made struct{ ID string }
	err := f.manage(ctx, http.MethodPost, "/functions", map[string]string{"folderId": f.tenant, "name": f.name}, &made)
	if err != nil {
		return fmt.Errorf("create %s: %w", f.name, err)
	}
	f.id = made.ID
	return f.deploy(ctx)
}

// deploy creates a new version, and deletes the previous one.
func (f *function) deploy(ctx context.Context, tags ...string) error {
	content, err := archive(f.code)
	if err != nil {
		return err
	}
	body := map[string]any{
		"functionId": f.id, "entrypoint": f.entry, "content": content, "tag": tags,
		"executionTimeout": fmt.Sprintf("%.3fs", f.timeout.Seconds()),
		"resources":        map[string]any{"memory": fmt.Sprint(f.memoryMB << 20)},
	}
	environment := map[string]string{}
	if f.secret != "" {
		environment["SECRET"] = f.secret
	}
	if f.talks {
		environment["PEER"], body["allowNet"] = f.peer, f.peer
	}
	body["environment"] = environment
	if f.broken {
		body["allowBroken"] = true
	}
	if f.async {
		body["asyncInvocationConfig"] = map[string]any{"retriesCount": 0}
	}
	var made struct{ ID string }
	if err := f.manage(ctx, http.MethodPost, "/versions", body, &made); err != nil {
		return fmt.Errorf("deploy %s: %w", f.name, err)
	}
	if old := f.version.Swap(&made.ID); old != nil {
		if err := f.manage(ctx, http.MethodDelete, "/versions/"+*old+"?force=true", nil, nil); err != nil {
			return fmt.Errorf("delete a version of %s: %w", f.name, err)
		}
	}
	return nil
}

// retag moves a tag to the newest version.
func (f *function) retag(ctx context.Context, tag string) error {
	return f.manage(ctx, http.MethodPost, "/versions/"+*f.version.Load()+":setTag", map[string]string{"tag": tag}, nil)
}

// ran returns the nonces that the function has logged since a time.
func (f *function) ran(ctx context.Context, since time.Time) ([]string, error) {
	var found struct{ Entries []struct{ Message string } }
	query := url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}, "contains": {"ran " + noncePrefix}, "limit": {"10000"}}
	err := f.manage(ctx, http.MethodGet, "/functions/"+f.id+":logs?"+query.Encode(), nil, &found)
	var nonces []string
	for _, e := range found.Entries {
		nonces = append(nonces, strings.TrimPrefix(e.Message, "ran "))
	}
	return nonces, err
}

// died returns the bodies of the function's dead letters from a page on, and the last page, to
// go on from; empty is the first one.
func (f *function) died(ctx context.Context, page string) (bodies []string, last string, err error) {
	for {
		var found struct {
			DeadLetters   []struct{ Body []byte }
			NextPageToken string
		}
		query := url.Values{"functionId": {f.id}, "limit": {"1000"}, "pageToken": {page}}
		if err := f.manage(ctx, http.MethodGet, "/deadLetters?"+query.Encode(), nil, &found); err != nil {
			return nil, "", err
		}
		for _, l := range found.DeadLetters {
			bodies = append(bodies, string(l.Body))
		}
		if found.NextPageToken == "" {
			return bodies, page, nil
		}
		page = found.NextPageToken
	}
}

// report returns the parts of a call's time, in milliseconds, from the
// program's log: "" is the total, then "Queuing " and "Init ".
func (f *function) report(ctx context.Context, requestID string) (map[string]float64, error) {
	var found struct{ Entries []struct{ Message string } }
	query := url.Values{"requestId": {requestID}, "contains": {"REPORT "}}
	if err := f.manage(ctx, http.MethodGet, "/functions/"+f.id+":logs?"+query.Encode(), nil, &found); err != nil {
		return nil, err
	}
	parts := map[string]float64{}
	for _, e := range found.Entries {
		for _, m := range reportPart.FindAllStringSubmatch(e.Message, -1) {
			parts[m[1]], _ = strconv.ParseFloat(m[2], 64) // it is a number
		}
	}
	return parts, nil
}

var reportPart = regexp.MustCompile(`(Billed |Queuing |Init )?Duration: ([0-9.]+) ms`)

// nonce returns a text that no other call has.
func nonce() string { return noncePrefix + rand.Text() }

// strike is an attack of the suites.
type strike struct {
	name  string
	code  map[string][]byte
	event string
	spec  map[string]string // its limits
}

// strikeSuites are the suites whose attacks use something up or break
// something. The others ask questions, which load does not make harder to
// answer.
var strikeSuites = []string{"exhaust_cpu", "exhaust_memory", "exhaust_host_buffers", "corrupt_guest", "cross_tenant"}

// readStrikes reads the attacks of the suites in a folder.
func readStrikes(dir string) ([]strike, error) {
	common := map[string][]byte{}
	for _, name := range []string{"main.py", "defence.py"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("attacks: %w; name their folder with -attacks", err)
		}
		common[name] = text
	}
	var strikes []strike
	for _, suite := range strikeSuites {
		files, err := filepath.Glob(filepath.Join(dir, suite, "*.txtar"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("attacks: the suite %s is not in %s: %v", suite, dir, err)
		}
		for _, file := range files {
			a, err := txtar.ParseFile(file)
			if err != nil {
				return nil, err
			}
			strikes = append(strikes, newStrike(suite+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), common, a))
		}
	}
	return strikes, nil
}

func newStrike(name string, common map[string][]byte, a *txtar.Archive) strike {
	s := strike{name: name, code: map[string][]byte{}, event: `"attack"`, spec: map[string]string{}}
	for file, text := range common {
		s.code[file] = text
	}
	for _, f := range a.Files {
		switch f.Name {
		case "want":
		case "limits":
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				s.spec[name] = value
			}
		default:
			s.code[f.Name] = f.Data
		}
	}
	if event, ok := s.spec["event"]; ok && !strings.HasPrefix(event, "repeat ") {
		s.event = event
	}
	return s
}
