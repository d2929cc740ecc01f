package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/web/api"
)

// quote returns a text as JSON.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// value is the text of a snippet's result.
func (d document) value() string {
	for _, shown := range d.at("displays").([]any) {
		if s := document(shown.(map[string]any)); s["result"] == true {
			return fmt.Sprint(s["data"].(map[string]any)["text/plain"])
		}
	}
	return ""
}

func TestSessions_TheSecondSnippetSeesTheFirst(t *testing.T) {
	s := startServer(t)
	made := s.must("POST", "/sessions", `{"resources": {"memory": "268435456"}, "idleTimeout": "60s", "environment": {"A": "b"}}`)
	id := made.text("id")
	if made.text("folderId") != "default" || made.text("resources.memory") != "268435456" || made.text("idleTimeout") != "60s" ||
		made.text("executionTimeout") != "10s" || made.at("environment") != nil {
		t.Errorf("got %v", made)
	}
	first := s.must("POST", "/sessions/"+id+":run", `{"code": "x = 41\nprint('made')"}`)
	if first.text("outcome") != "ok" || len(first.at("displays").([]any)) != 0 || first.at("number") != 1.0 {
		t.Errorf("got %v", first)
	}
	second := s.must("POST", "/sessions/"+id+":run", `{"code": "import os\nx + 1, os.environ['A']"}`)
	if second.value() != "(42, 'b')" || second.text("sessionId") != id || second.at("number") != 2.0 {
		t.Errorf("got %v", second)
	}
	fork := s.must("POST", "/sessions/"+id+":fork", "").text("id")
	s.must("POST", "/sessions/"+fork+":run", `{"code": "x = 0"}`)
	if got := s.must("POST", "/sessions/"+id+":run", `{"code": "x"}`).value(); got != "41" {
		t.Errorf("x is %s after its fork has changed", got)
	}
	failed := s.must("POST", "/sessions/"+id+":run", `{"code": "1/0"}`)
	if failed.text("outcome") != "error" || failed.text("error.errorType") != "ZeroDivisionError" || !strings.Contains(failed.text("error.traceback"), "1/0") {
		t.Errorf("got %v", failed)
	}
	ended := s.must("POST", "/sessions/"+fork+":run", `{"code": "while True: pass", "executionTimeout": "0.2s"}`)
	if ended.text("outcome") != "ended" || ended.text("error.errorType") != "ExecutionTimeout" {
		t.Errorf("got %v", ended)
	}
	if status, d := s.send("POST", "/sessions/"+fork+":run", `{"code": "x"}`); status != 404 || !strings.Contains(d.text("message"), "not found") {
		t.Errorf("after its end: %d %v", status, d)
	}
	if got := s.must("GET", "/sessions", "").at("sessions").([]any); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	s.must("DELETE", "/sessions/"+id, "")
	if got := s.must("GET", "/sessions", "").at("sessions").([]any); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestSessions_FilesComeInBase64AndByUpload(t *testing.T) {
	s := startServer(t)
	id := s.must("POST", "/sessions", `{}`).text("id")
	upload, err := http.NewRequest("PUT", s.url+api.BasePath+"/sessions/"+id+":file?path=data/a.bin", strings.NewReader("\x00\xff"))
	if err != nil {
		t.Fatal(err)
	}
	if status, text := s.do(upload); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	r := s.must("POST", "/sessions/"+id+":run", fmt.Sprintf(`{"code": %s, "files": [{"path": "b", "content": "%s"}], "outputs": ["sum", "none"]}`,
		quote("open('sum', 'wb').write(open('data/a.bin', 'rb').read() + open('b', 'rb').read())"), base64.StdEncoding.EncodeToString([]byte("b"))))
	files := r.at("files").([]any)
	if got := document(files[0].(map[string]any)).text("content"); got != base64.StdEncoding.EncodeToString([]byte("\x00\xffb")) {
		t.Errorf("got %v", r)
	}
	if got := document(files[1].(map[string]any)).text("error"); !strings.Contains(got, "no such file") {
		t.Errorf("got %v", r)
	}
	if status, text := s.raw("GET", api.BasePath+"/sessions/"+id+":file?path=sum", ""); status != 200 || text != "\x00\xffb" {
		t.Errorf("got %d %q", status, text)
	}
	if status, text := s.raw("GET", api.BasePath+"/sessions/"+id+":file?path=/tmp", ""); status != 400 || !strings.Contains(text, "is no file") {
		t.Errorf("got %d %s", status, text)
	}
}

func TestSessions_RunCodeAlone(t *testing.T) {
	s := startServer(t)
	r := s.must("POST", "/sessions:run", `{"code": "import sys\nprint(__name__)\nsys.exit(3)", "session": {"environment": {"A": "b"}}}`)
	if r.text("outcome") != "error" || r.at("exitCode") != 3.0 || document(r.at("output").([]any)[0].(map[string]any)).text("text") != "__main__\n" {
		t.Errorf("got %v", r)
	}
	if got := s.must("GET", "/sessions", "").at("sessions").([]any); len(got) != 0 {
		t.Errorf("it is still there: %v", got)
	}
}

// A caller's mistakes are told by the field's name, and nothing comes of them.
func TestSessions_RefuseWhatTheyCannotDo(t *testing.T) {
	s := startServer(t)
	id := s.must("POST", "/sessions", `{}`).text("id")
	for _, c := range []struct {
		path, body, want string
	}{
		{"", `{"resources": {"memory": "1000"}}`, "resources.memory"},
		{"", `{"resources": {"memory": "-134217728"}}`, "resources.memory"},
		{"", `{"idleTimeout": "7200s"}`, "idleTimeout"},
		{"", `{"lifetime": "-1s"}`, "lifetime"},
		{"", `{"executionTimeout": "7200s"}`, "executionTimeout"},
		{"", `{"runtime": "ruby"}`, "runtime"},
		{"", `{"allowNet": "not a host"}`, "allowNet"},
		{"", `{"environment": {"PATH": "x"}}`, "PATH"},
		{"", `{"code": "x"}`, "code"},
		{"/" + id + ":run", `{"code": 5}`, "code"},
		{"/" + id + ":run", `{"code": "x", "executionTimeout": "3600s"}`, "executionTimeout"},
		{"/" + id + ":run", `{"code": "x", "executionTimeout": "-1s"}`, "executionTimeout"},
		{"/" + id + ":run", `{"code": "x", "files": [{"path": "a"}, {"path": "a"}]}`, "files[1].path"},
		{"/" + id + ":run", `{"code": "x", "files": [{"path": "/usr/x"}]}`, "can't be written"},
		{"/" + id + ":run", `{"code": "x", "files": [{"path": "x", "content": "?"}]}`, "base64"},
		{"/" + id + ":run", `{"code": ` + quote(strings.Repeat("#", 1<<20+1)) + `}`, "code"},
		{"/" + id + ":run", `{"code": "x", "outputs": [` + strings.Repeat(`"x",`, 100) + `"x"]}`, "outputs"},
	} {
		status, d := s.send("POST", "/sessions"+c.path, c.body)
		if status != 400 || !strings.Contains(d.text("message"), c.want) {
			t.Errorf("%.100s: got %d %v, want one about %s", c.body, status, d, c.want)
		}
	}
	for _, other := range []string{"x", "d4s0000000000000000", "..", "%2e%2e", strings.Repeat("x", 1000)} {
		if status, _ := s.send("POST", "/sessions/"+other+":run", `{"code": "x"}`); status != 404 {
			t.Errorf("%.40s: got %d", other, status)
		}
	}
	if d := s.must("GET", "/sessions/"+id, ""); d.at("snippets") != 0.0 {
		t.Errorf("something was run: %v", d)
	}
}

func TestSessions_AreTheTenantsAlone(t *testing.T) {
	s := guarded(t)
	root := s.key(access.AllTenants, access.RoleAdmin)
	mine, theirs, invoker := s.key("acme", access.RoleDeployer), s.key("other", access.RoleAdmin), s.key("acme", access.RoleInvoker)
	_, d := s.as(mine, "POST", "/sessions", `{}`)
	id := d.text("id")
	if d.text("folderId") != "acme" {
		t.Fatalf("got %v", d)
	}
	requests := []struct{ method, path, body string }{
		{"POST", "/sessions/" + id + ":run", `{"code": "x"}`}, {"POST", "/sessions/" + id + ":fork", ""}, {"POST", "/sessions/" + id + ":interrupt", ""},
		{"GET", "/sessions/" + id, ""}, {"GET", "/sessions/" + id + ":file?path=x", ""}, {"DELETE", "/sessions/" + id, ""},
	}
	for _, r := range requests {
		for secret, want := range map[string]int{theirs: 404, invoker: 403, "": 401} {
			if status, d := s.as(secret, r.method, r.path, r.body); status != want {
				t.Errorf("%s %s: got %d %v, want %d", r.method, r.path, status, d, want)
			}
		}
		if status, d := s.as(root, r.method, r.path+map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")]+"folderId=other", r.body); status != 404 {
			t.Errorf("%s %s in another folder: got %d %v", r.method, r.path, status, d)
		}
	}
	if _, d := s.as(theirs, "GET", "/sessions", ""); len(d.at("sessions").([]any)) != 0 {
		t.Errorf("another tenant sees %v", d)
	}
	if _, d := s.as(root, "GET", "/sessions?folderId=acme", ""); len(d.at("sessions").([]any)) != 1 {
		t.Errorf("who acts for all sees %v", d)
	}
	if status, d := s.as(root, "POST", "/sessions/"+id+":run", `{"code": "1"}`); status != 200 || d.value() != "1" {
		t.Errorf("who acts for all: %d %v", status, d)
	}
	if _, d := s.as(root, "POST", "/sessions?folderId=acme", `{}`); d.text("folderId") != "acme" {
		t.Errorf("got %v", d)
	}
}
