package web

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/host/store"
	pythonwasi "vivarium/python-wasi"
	"vivarium/web/api"
)

// TestAuthAttacks attacks with keys, without them, and with those of others, on
// the real server including management API and functions. Each file in
// testdata/attacks/auth is one attack: the promise, requests, and the expected
// responses. README.md there describes the format.
//
// Whatever an attack does, no response contains another tenant's secrets,
// nothing of other tenants is changed, only expected calls reach a function,
// and another caller is served afterwards.
func TestAuthAttacks(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/auth/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no attacks: %v", err)
	}
	w := newAuthWorld(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w.attack(t, archive)
		})
	}
	log := w.log.String()
	if strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the server's log: got %s, want no fault of ours", log)
	}
	for name, value := range w.values {
		if strings.HasPrefix(value, "viv_") && strings.Contains(log, value) {
			t.Errorf("the log has the secret of %s", name)
		}
	}
}

// theirSecret is what the tenant umbrella keeps secret: in its code, its
// environment, its log and its dead letter.
const theirSecret = "hunter2"

// authWorld is a server with three tenants: acme, whose keys attackers have,
// umbrella, their target, and default.
type authWorld struct {
	t      testing.TB
	addr   string
	log    *logBuffer
	host   *host.Host
	values map[string]string // values of ${NAME}
}

// authKeys are the existing keys, by name: tenant and role.
var authKeys = []struct {
	name, tenant string
	role         access.Role
}{
	{"operator", access.AllTenants, access.RoleAdmin},
	{"all.deployer", access.AllTenants, access.RoleDeployer},
	{"acme.admin", "acme", access.RoleAdmin},
	{"acme.deployer", "acme", access.RoleDeployer},
	{"acme.invoker", "acme", access.RoleInvoker},
	{"umbrella.admin", "umbrella", access.RoleAdmin},
	{"default.deployer", access.DefaultTenant, access.RoleDeployer},
	{"deleted", "umbrella", access.RoleAdmin},
}

func newAuthWorld(t *testing.T) *authWorld {
	t.Helper()
	engines, err := realEngines()
	if errors.Is(err, pythonwasi.ErrNotBuilt) {
		t.Fatal("these tests need the Python guest; build it: go tool task guest")
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h, err := host.New(host.Config{Engines: engines, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	w := &authWorld{t: t, host: h, log: &logBuffer{}, values: map[string]string{}}
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	management := api.New(api.Config{Host: h, Logger: logger})
	config := Config{Keys: h.Keys(), Management: management, OnDrain: management.EndStreams, Stats: h.Stats, Logger: logger,
		TransferTimeout: time.Second}
	server := start(t, config, h)
	w.addr = server.addr
	t.Cleanup(func() {
		server.stop()
		<-server.done
	})
	for _, k := range authKeys {
		key, secret, err := h.Keys().Create(t.Context(), access.Operator, keys.Spec{Tenant: k.tenant, Role: k.role})
		if err != nil {
			t.Fatal(err)
		}
		w.values[k.name], w.values[k.name+".id"] = secret, key.ID
	}
	if err := h.Keys().Delete(t.Context(), access.Operator, w.values["deleted.id"]); err != nil {
		t.Fatal(err)
	}
	code := "def handler(event, context): return {'body': str(event['headers'])}  # " + theirSecret
	w.content(code)
	for tenant, secret := range map[string]string{"acme": "known", "umbrella": theirSecret} {
		code := "def handler(event, context): return {'body': str(event['headers'])}  # " + secret
		for _, name := range []string{"own", tenant + "-fun"} {
			w.deploy(tenant, name, code, `, "tag": ["prod"], "environment": {"PASSWORD": "`+secret+`"}`)
		}
		w.deploy(tenant, "fails", "def handler(event, context): print('"+secret+"'); raise ValueError('"+secret+"')\n",
			`, "asyncInvocationConfig": {"retriesCount": "0"}`)
		w.values[tenant+".timer"] = w.must("POST", "/timers?folderId="+tenant,
			`{"name": "`+tenant+`-timer", "functionId": "own", "cronExpression": "@yearly", "payload": "`+secret+`"}`).text("response.id")
		if a := w.do("operator", "POST", "/"+w.values[tenant+".fails"]+"?integration=async", secret); a.status != http.StatusAccepted {
			t.Fatal(a)
		}
	}
	w.deploy(access.DefaultTenant, "open", code, "")
	w.deploy(access.DefaultTenant, "closed", code, "")
	w.must("POST", "/functions/open:setAccessBindings",
		`{"accessBindings": [{"roleId": "functions.functionInvoker", "subject": {"id": "allUsers", "type": "system"}}]}`)
	for _, tenant := range []string{"acme", "umbrella"} {
		w.values[tenant+".letter"] = w.deadLetter(tenant)
	}
	return w
}

// content sets ${content} to code, in the form that the management API accepts.
func (w *authWorld) content(code string) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("main.py")
	if err == nil {
		_, err = io.WriteString(f, code)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.values["content"] = base64.StdEncoding.EncodeToString(b.Bytes())
}

// deploy deploys a function. ${TENANT.NAME}, its .version and its .operation
// are set to ids.
func (w *authWorld) deploy(tenant, name, code, more string) {
	w.t.Helper()
	before := w.values["content"]
	w.content(code)
	op := w.must("POST", "/functions", `{"folderId": "`+tenant+`", "name": "`+name+`"}`)
	id := op.text("response.id")
	version := w.must("POST", "/versions", `{"functionId": "`+id+`", "entrypoint": "main.handler", "executionTimeout": "60s", "content": "`+
		w.values["content"]+`"`+more+`}`)
	if before != "" {
		w.values["content"] = before
	}
	w.values[tenant+"."+name], w.values[tenant+"."+name+".operation"] = id, op.text("id")
	w.values[tenant+"."+name+".version"] = version.text("response.id")
}

// deadLetter waits for a tenant's dead letter.
func (w *authWorld) deadLetter(tenant string) string {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if letters, _, err := w.host.Events().DeadLetters(w.t.Context(), access.Operator.In(tenant), "", 0,
			""); err == nil && len(letters) == 1 {
			return letters[0].ID
		}
	}
	w.t.Fatal("there is no dead letter")
	return ""
}

// authDocument is a decoded JSON object.
type authDocument map[string]any

func (d authDocument) text(path string) string {
	var v any = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

// must calls the management API as the operator.
func (w *authWorld) must(method, path, body string) authDocument {
	w.t.Helper()
	a := w.do("operator", method, api.BasePath+path, body)
	var d authDocument
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || a.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return d
}

// authAnswer is a complete response.
type authAnswer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with the named key.
func (w *authWorld) do(key, method, path, body string) authAnswer {
	w.t.Helper()
	answers := w.send(w.request(key, method+" "+path+"\n\n"+body), 1)
	if len(answers) != 1 {
		w.t.Fatalf("%s %s: no answer", method, path)
	}
	return answers[0]
}

// request returns the bytes of a request: METHOD PATH, headers, an empty line
// and the body.
func (w *authWorld) request(key, text string) []byte {
	head, body, _ := strings.Cut(text, "\n\n")
	first, headers, _ := strings.Cut(strings.TrimSpace(head), "\n")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s HTTP/1.1\r\nHost: %s\r\n", first, w.addr)
	if key != "nobody" {
		fmt.Fprintf(&b, "Authorization: Api-Key %s\r\n", w.expand("${"+key+"}"))
	}
	if body = strings.TrimSuffix(body, "\n"); body != "" {
		if !strings.Contains(headers, "Content-Type:") {
			headers += "\nContent-Type: application/json"
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	for line := range strings.SplitSeq(strings.TrimSpace(headers), "\n") {
		if line != "" {
			fmt.Fprintf(&b, "%s\r\n", line)
		}
	}
	return append(b.Bytes(), "\r\n"+body...)
}

// send sends bytes over a new connection and reads count responses.
func (w *authWorld) send(request []byte, count int) []authAnswer {
	w.t.Helper()
	connection, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { _, _ = connection.Write(request) }() // the server may stop reading before all is sent
	// A response to HEAD has no body, whatever its Content-Length.
	asked := &http.Request{Method: strings.SplitN(string(request[:min(8, len(request))]), " ", 2)[0]}
	var answers []authAnswer
	for reader := bufio.NewReader(connection); len(answers) < count; {
		r, err := http.ReadResponse(reader, asked)
		if err != nil {
			break
		}
		text, _ := io.ReadAll(r.Body)
		answers = append(answers, authAnswer{r.StatusCode, r.Header, string(text)})
	}
	return answers
}

var variable = regexp.MustCompile(`\$\{([a-z.-]+)(\|[a-z]+)?\}`)

// expand replaces ${NAME} by its value, and ${NAME|cut} and such by something
// similar.
func (w *authWorld) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(s string) string {
		parts := variable.FindStringSubmatch(s)
		value, ok := w.values[parts[1]]
		if !ok {
			w.t.Fatalf("there is no %s", s)
		}
		switch parts[2] {
		case "|cut":
			return value[:len(value)-1]
		case "|longer":
			return value + "A"
		case "|upper":
			return strings.ToUpper(value)
		case "|swapped": // a key's id with the random part of another
			return w.values["acme.admin"][:25] + value[25:]
		case "|base":
			return base64.StdEncoding.EncodeToString([]byte("api:" + value))
		}
		return value
	})
}

// attack makes the requests of one attack.
func (w *authWorld) attack(t *testing.T, archive *txtar.Archive) {
	if strings.TrimSpace(string(archive.Comment)) == "" {
		t.Fatal("names no promise")
	}
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	before := w.everything()
	calls, wanted := w.host.Stats().Calls, 0
	var answers []authAnswer
	var sent []byte
	for _, f := range archive.Files {
		kind, argument, _ := strings.Cut(f.Name, " ")
		switch kind {
		case "as":
			sent = w.request(argument, w.expand(string(f.Data)))
		case "send":
			sent = sendable(w.expand(string(f.Data)))
		case "want":
			wants := strings.Split(strings.TrimSpace(w.expand(string(f.Data))), "\n")
			if argument != "" {
				n, err := strconv.Atoi(argument)
				if err != nil {
					t.Fatalf("want N: the calls that reach a function: %v", err)
				}
				wanted += n
			}
			got := w.send(sent, len(wants))
			answers = append(answers, got...)
			for i, want := range wants {
				status, parts, _ := strings.Cut(want, " ")
				switch {
				case i >= len(got):
					t.Fatalf("%s\nanswers: got %.500v, want %s", sent, got, want)
				case strconv.Itoa(got[i].status) != status:
					t.Errorf("%s\ngot %d %.500s, want %s", sent, got[i].status, got[i].body, want)
				}
				for part := range strings.FieldsSeq(parts) {
					part, absent := strings.CutPrefix(part, "!")
					if strings.Contains(got[i].body, part) == absent {
						t.Errorf("%s\ngot %.500s, want %s", sent, got[i].body, want)
					}
				}
				if got[i].status == http.StatusUnauthorized && got[i].header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s\na 401 does not say how to do it", sent)
				}
			}
		case "alike":
			answers = append(answers, w.alike(t, argument, string(f.Data))...)
		default:
			t.Fatalf("no such section: %s", kind)
		}
	}
	for _, a := range answers {
		all := fmt.Sprint(a.header) + a.body
		if strings.Contains(all, theirSecret) || strings.Contains(all, w.values["umbrella.admin"]) {
			t.Errorf("a secret got out: %d %.1000s", a.status, all)
		}
	}
	if got := w.host.Stats().Calls - calls; got != int64(wanted) {
		t.Errorf("%d calls reached a function, want %d", got, wanted)
	}
	if after := w.everything(); after != before {
		t.Errorf("something was changed: %s", cmp.Diff(before, after))
	}
	if a := w.do("umbrella.admin", "GET", "/own", ""); a.status != http.StatusOK {
		t.Errorf("another caller: got %d %s", a.status, a.body)
	}
}

var requestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// alike sends requests, one per line: STATUS METHOD PATH BODY, and checks that
// the responses differ only in what the line has in guillemets.
func (w *authWorld) alike(t *testing.T, key, lines string) (answers []authAnswer) {
	first, firstLine := "", ""
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		status, request, _ := strings.Cut(w.expand(line), " ")
		_, subject, _ := strings.Cut(request, "«")
		subject, _, _ = strings.Cut(subject, "»")
		request = strings.NewReplacer("«", "", "»", "").Replace(request)
		parts := strings.SplitN(request, " ", 3)
		body := ""
		if len(parts) == 3 {
			body = parts[2]
		}
		a := w.do(key, parts[0], parts[1], body)
		answers = append(answers, a)
		if strconv.Itoa(a.status) != status {
			t.Errorf("%s: got %d %s", line, a.status, a.body)
		}
		for _, name := range []string{"Date", "X-Request-Id", headerServerTraceID, "Content-Length"} {
			a.header.Del(name)
		}
		got := requestID.ReplaceAllString(fmt.Sprint(a.status, a.header, a.body), "")
		if subject != "" { // as a word: it may be a one-digit number
			got = regexp.MustCompile(`(^|\W)`+regexp.QuoteMeta(subject)+`(\W|$)`).ReplaceAllString(got, "$1$2")
		}
		if first == "" {
			first, firstLine = got, line
		} else if got != first {
			t.Errorf("can be told apart:\n%s\n\t%s\n%s\n\t%s", firstLine, first, line, got)
		}
	}
	return answers
}

// everything is what umbrella and default have, and all keys.
func (w *authWorld) everything() string {
	w.t.Helper()
	var b strings.Builder
	for _, tenant := range []string{"umbrella", access.DefaultTenant} {
		for _, path := range []string{"/functions?", "/versions?", "/timers?", "/deadLetters?", "/keys?"} {
			fmt.Fprintln(&b, w.do("operator", "GET", api.BasePath+path+"folderId="+tenant, "").body)
		}
	}
	for _, function := range []string{"umbrella.own", "umbrella.fails", "default.open", "default.closed"} {
		for _, verb := range []string{":listAccessBindings", "/scalingPolicies", ":tagHistory", "/operations"} {
			fmt.Fprintln(&b, w.do("operator", "GET", api.BasePath+"/functions/"+w.values[function]+verb, "").body)
		}
	}
	keys, err := w.host.Keys().List(access.Operator)
	fmt.Fprintln(&b, keys, err)
	return b.String()
}
