package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vivarium/host/access"
)

const echoing = "def handler(event, context): return {'statusCode': 202, 'body': event['httpMethod'] if event.get('httpMethod') else 'none'}\n"

func TestCalls_AreListedGotAndReplayed(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "echo"}`)
	s.must("POST", "/versions", `{"functionId": "echo", "entrypoint": "main.handler", "content": "`+code(t, echoing)+`"}`)
	for _, body := range []string{"a=1&password=hunter2", strings.Repeat("x", 100_000), "\xff"} {
		if status, text := s.raw("POST", "/echo", body); status != 202 {
			t.Fatalf("got %d %s", status, text)
		}
	}
	list := s.must("GET", "/functions/echo/calls", "")
	calls := list.at("calls").([]any)
	call := func(n int) document { return document(calls[n].(map[string]any)) }
	if len(calls) != 3 || call(0).at("event") != nil || call(0).at("status") != 202.0 || call(0).text("kind") != "HTTP" || call(0).at("phases.handlerMS") == 0.0 {
		t.Fatalf("got %v", list)
	}
	first := s.must("GET", "/calls/"+call(2).text("id"), "")
	if text := first.text("event.text"); strings.Contains(fmt.Sprint(first), "aHVudGVyMg") || !strings.Contains(text, `"httpMethod":"POST"`) || first.at("event.redacted") == nil {
		t.Errorf("got %v", first)
	}
	long := s.must("GET", "/calls/"+call(1).text("id"), "")
	if bytes, _ := long.at("event.bytes").(float64); long.at("event.cut") != true || bytes < 100_000 {
		t.Errorf("got %v", long)
	}
	again := s.must("POST", "/calls/"+call(2).text("id")+":replay", "{}")
	if again.text("replayOf") != call(2).text("id") || again.at("status") != 202.0 || !strings.Contains(again.text("answer.text"), "POST") {
		t.Errorf("got %v", again)
	}
	if again.at("profileTree") != nil {
		t.Errorf("nobody asked for a profile: %v", again)
	}
	profiled := s.must("POST", "/calls/"+call(2).text("id")+":replay", `{"profile": true}`)
	lines, _ := profiled.at("profileTree").([]any)
	if !slices.ContainsFunc(lines, func(l any) bool {
		line := document(l.(map[string]any))
		return line.at("line") != nil && line.at("depth") != nil && line.at("computingMS").(float64) > 0
	}) {
		t.Errorf("got %v", profiled)
	}
	edited := s.must("POST", "/calls/"+call(1).text("id")+":replay", `{"event": "{}", "tag": "$latest"}`)
	if !strings.Contains(edited.text("answer.text"), "none") {
		t.Errorf("got %v", edited)
	}
	for _, c := range []struct {
		status             int
		method, path, body string
		text               string
	}{
		{404, "GET", "/functions/absent/calls", "", "absent"},
		{404, "GET", "/calls/absent", "", "call absent not found"},
		{404, "GET", "/calls/" + strings.Repeat("x", 5000), "", "not found"},
		{400, "GET", "/functions/echo/calls?limit=1001", "", "limit"},
		{400, "GET", "/functions/echo/calls?before=x", "", "before"},
		{400, "GET", "/functions/echo/calls?failed=yes", "", "failed"},
		{400, "GET", "/functions/echo/calls?since=yesterday", "", "since"},
		{409, "POST", "/calls/" + call(1).text("id") + ":replay", "{}", "only the beginning is kept"},
		{400, "POST", "/calls/" + call(2).text("id") + ":replay", `{"event": "x"}`, "JSON object"},
		{400, "POST", "/calls/" + call(2).text("id") + ":replay", `{"event": "{}", "eventBase64": "e30="}`, "one of the two"},
		{400, "POST", "/calls/" + call(2).text("id") + ":replay", `{"event": "{}", "version": ""}`, "version"},
		{404, "POST", "/calls/" + call(2).text("id") + ":replay", `{"tag": "nowhere"}`, "nowhere"},
		{400, "PATCH", "/functions/echo", `{"calls": {"redact": [""]}}`, "redact"},
		{400, "PATCH", "/functions/echo", `{"calls": {"on": true}}`, "on"},
	} {
		if status, d := s.send(c.method, c.path, c.body); status != c.status || !strings.Contains(d.text("message")+fmt.Sprint(d.at("details")), c.text) {
			t.Errorf("%s %.100s %s: got %d %v", c.method, c.path, c.body, status, d)
		}
	}
	f := s.must("PATCH", "/functions/echo", `{"calls": {"off": true, "redact": ["email"]}}`)
	if f.at("response.calls.off") != true {
		t.Errorf("got %v", f)
	}
	if f := s.must("PATCH", "/functions/echo", `{"updateMask": "description", "description": "x"}`); f.at("response.calls.off") != true {
		t.Errorf("another change forgets it: %v", f)
	}
	if f := s.must("PATCH", "/functions/echo", `{"updateMask": "calls"}`); f.at("response.calls") != nil {
		t.Errorf("got %v", f)
	}
}

// A call of another tenant's is not there, whoever asks for it.
func TestCalls_OfAnotherTenantAreNotThere(t *testing.T) {
	s := guarded(t)
	admin := s.key(access.AllTenants, access.RoleAdmin)
	acme, globex := s.key("acme", access.RoleDeployer), s.key("globex", access.RoleAdmin)
	s.as(acme, "POST", "/functions", `{"name": "echo"}`)
	_, v := s.as(acme, "POST", "/versions", `{"functionId": "echo", "entrypoint": "main.handler", "content": "`+code(t, echoing)+`"}`)
	r, err := http.NewRequest("GET", s.url+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+acme)
	s.do(r)
	_, list := s.as(acme, "GET", "/functions/echo/calls", "")
	id := document(list.at("calls").([]any)[0].(map[string]any)).text("id")
	for who, secret := range map[string]string{"acme": acme, "an admin of all": admin} {
		if status, d := s.as(secret, "GET", "/calls/"+id, ""); status != 200 || strings.Contains(fmt.Sprint(d), acme) {
			t.Errorf("%s: got %d %v", who, status, d)
		}
	}
	absent := strings.Replace(id, v.text("response.functionId"), "d4e00000000000000000", 1)
	for _, c := range [][3]string{
		{"GET", "/calls/ID", ""}, {"POST", "/calls/ID:replay", "{}"},
	} {
		status, d := s.as(globex, c[0], strings.Replace(c[1], "ID", id, 1), c[2])
		otherStatus, other := s.as(globex, c[0], strings.Replace(c[1], "ID", absent, 1), c[2])
		if status != 404 || otherStatus != 404 || strings.ReplaceAll(d.text("message"), id, absent) != other.text("message") {
			t.Errorf("%v: got %d %v, and of what is not there %d %v", c, status, d, otherStatus, other)
		}
	}
	if status, _ := s.as(globex, "GET", "/functions/"+v.text("response.functionId")+"/calls", ""); status != 404 {
		t.Errorf("listing: got %d", status)
	}
}
