package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vivarium/host/roomtest"
	"vivarium/web/api"
)

func TestVersions_AreNotMadeOfBrokenCode(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "broken"}`)
	for _, c := range []struct{ source, field, message, frame string }{
		{"import datetme\n", "content", "the code does not load: ModuleNotFoundError: No module named 'datetme'; the server installs no packages", `File "/function/code/main.py", line 1`},
		{"def run(event, context): pass\n", "entrypoint", "module 'main' has no attribute 'handler'; it has: main.run", ""},
	} {
		body := `{"functionId": "broken", "entrypoint": "main.handler", "executionTimeout": "60s", "content": "` + code(t, c.source) + `"`
		status, d := s.send("POST", "/versions", body+"}")
		details := fmt.Sprint(d.at("details"))
		if status != 400 || d.at("code") != 3.0 || !strings.Contains(d.text("message"), c.message) ||
			!strings.Contains(d.text("message"), "allowBroken") || !strings.Contains(details, "field:"+c.field) || !strings.Contains(details, c.frame) {
			t.Errorf("got %d %v", status, d)
		}
		if status, text := s.raw("GET", "/broken", ""); status != 404 {
			t.Errorf("the function answers %d %s", status, text)
		}
		op := s.must("POST", "/versions", body+`, "allowBroken": true}`)
		if op.at("response.loadError.errorType") == nil || op.at("response.allowBroken") != true {
			t.Errorf("got %v", op)
		}
		if status, text := s.raw("GET", "/broken", ""); status != 502 || !strings.Contains(text, op.text("response.loadError.errorType")) {
			t.Errorf("the function answers %d %s", status, text)
		}
		id := op.text("response.id")
		if v := s.must("GET", "/versions/"+id, ""); v.at("loadError") != nil || v.at("allowBroken") != true {
			t.Errorf("got %v", v)
		}
		s.must("DELETE", "/versions/"+id+"?force=true", "")
	}
}

// A place for an upload is not held by code that takes its time to load, and who
// leaves before it has loaded makes no version.
func TestUploads_AreOverBeforeTheCodeIsTried(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "slow"}`)
	s.must("POST", "/functions", `{"name": "quick"}`)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+api.BasePath+"/versions", strings.NewReader(
		`{"functionId": "slow", "entrypoint": "main.handler", "executionTimeout": "600s", "content": "`+code(t, "while True: pass\n")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	left := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(r)
		left <- err
	}()
	versions := func(n int) func() bool { return func() bool { return s.host.Stats().Versions == n } }
	roomtest.Until(t, "it is being tried", versions(1))
	s.deploy("quick", answering(t, "quick"), "")
	select {
	case err := <-left:
		t.Fatalf("the slow one was done first: %v", err)
	default:
	}
	leave()
	if err := <-left; err == nil {
		t.Error("it has been answered")
	}
	roomtest.Until(t, "the version is gone", versions(1))
	if list := s.must("GET", "/versions?functionId=slow", "").at("versions").([]any); len(list) != 0 {
		t.Errorf("there are versions: %v", list)
	}
}
