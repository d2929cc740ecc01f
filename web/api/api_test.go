package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/quota"
	"vivarium/web/api"
)

func TestAPI_AFunctionsLife(t *testing.T) {
	s := startServer(t)
	op := s.must("POST", "/functions", `{"name": "hello", "description": "greets", "labels": {"team": "a"}, "folderId": "default"}`)
	if op.at("done") != true || op.text("description") != "Create function" ||
		op.text("metadata.@type") != "type.googleapis.com/yandex.cloud.serverless.functions.v1.CreateFunctionMetadata" {
		t.Errorf("operation: %v", op)
	}
	id := op.text("response.id")
	if op.text("metadata.functionId") != id || id == "" {
		t.Errorf("operation: %v", op)
	}
	for _, path := range []string{api.BasePath + "/operations/", api.OperationsPath + "/"} {
		if status, text := s.raw("GET", path+op.text("id"), ""); status != 200 || !strings.Contains(text, id) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}

	v1 := s.deploy("hello", answering(t, "one"), `, "tag": ["v1", "prod"], "environment": {"K": "V"}, "resources": {"memory": "268435456"}`)
	v2 := s.deploy(id, answering(t, "two"), `, "tag": ["v2"]`)
	call := func(path, want string) {
		t.Helper()
		if status, text := s.raw("GET", path, ""); status != 200 || text != want {
			t.Errorf("%s: got %d %s, want %s", path, status, text, want)
		}
	}
	call("/hello", "two")
	call("/"+id+"?tag=prod", "one")

	v := s.must("GET", "/versions/"+v1, "")
	for path, want := range map[string]string{
		"functionId": id, "runtime": "python312", "entrypoint": "main.handler", "resources.memory": "268435456",
		"executionTimeout": "60s", "status": "ACTIVE", "environment.K": "V",
	} {
		if got := v.text(path); got != want {
			t.Errorf("version: %s is %q, want %q", path, got, want)
		}
	}
	if got := fmt.Sprint(v.at("tags")); got != "[prod v1]" {
		t.Errorf("tags: %s", got)
	}
	if _, err := time.Parse(time.RFC3339Nano, v.text("createdAt")); err != nil {
		t.Error(err)
	}

	s.must("POST", "/versions/"+v2+":setTag", `{"tag": "prod"}`)
	call("/hello?tag=prod", "two")
	if got := s.must("GET", "/versions:byTag?functionId=hello&tag=prod", "").text("id"); got != v2 {
		t.Errorf("byTag: %s", got)
	}
	if got := s.must("GET", "/versions:byTag?functionId="+id, "").text("id"); got != v2 {
		t.Errorf("byTag without a tag: %s", got)
	}
	s.must("POST", "/versions/"+v1+":setTag", `{"tag": "prod"}`)
	call("/hello?tag=prod", "one")
	history := s.must("GET", "/functions/"+id+":tagHistory?tag=prod", "").at("functionTagHistoryRecord").([]any)
	if len(history) != 3 {
		t.Fatalf("history: %v", history)
	}
	if first := document(history[0].(map[string]any)); first.text("functionVersionId") != v1 || first.at("effectiveTo") != nil {
		t.Errorf("newest of the history: %v", first)
	}
	s.must("POST", "/versions/"+v1+":removeTag", `{"tag": "v1"}`)

	s.must("POST", "/functions/"+id+":setScalingPolicy", `{"tag": "prod", "zoneInstancesLimit": "3", "zoneRequestsLimit": 20}`)
	policies := s.must("GET", "/functions/hello/scalingPolicies", "").at("scalingPolicies").([]any)
	if got := document(policies[0].(map[string]any)); len(policies) != 1 || got.text("zoneInstancesLimit") != "3" || got.text("functionId") != id {
		t.Errorf("policies: %v", policies)
	}
	s.must("POST", "/functions/"+id+":removeScalingPolicy", `{"tag": "prod"}`)

	copied := s.must("POST", "/versions", `{"functionId": "hello", "entrypoint": "main.handler", "versionId": "`+v1+`", "executionTimeout": "60s"}`)
	call("/hello", "one")
	s.must("DELETE", "/versions/"+copied.text("response.id")+"?force=true", "")
	call("/hello", "two")

	updated := s.must("PATCH", "/functions/"+id, `{"updateMask": "name,labels", "name": "good-bye"}`)
	if updated.text("response.name") != "good-bye" || updated.text("response.description") != "greets" || len(updated.at("response.labels").(map[string]any)) != 0 {
		t.Errorf("update: %v", updated)
	}
	call("/good-bye", "two")
	operations := s.must("GET", "/functions/"+id+"/operations", "").at("operations").([]any)
	if got := document(operations[0].(map[string]any)).text("description"); got != "Update function" || len(operations) < 10 {
		t.Errorf("%d operations, the newest is %s", len(operations), got)
	}

	if deleted := s.must("DELETE", "/functions/"+id, ""); deleted.at("done") != true {
		t.Errorf("delete: %v", deleted)
	}
	for _, path := range []string{"/functions/" + id, "/versions/" + v1} {
		if status, d := s.send("GET", path, ""); status != 404 || d.at("code") != 5.0 {
			t.Errorf("%s: %d %v", path, status, d)
		}
	}
	if status, _ := s.raw("GET", "/"+id, ""); status != 404 {
		t.Errorf("a deleted function answers %d", status)
	}
}

func TestAPI_ListsComeInPages(t *testing.T) {
	s := startServer(t)
	for i := range 7 {
		s.must("POST", "/functions", fmt.Sprintf(`{"name": "fn-%d", "folderId": "f%d"}`, i, i%2))
	}
	var names []string
	for token, pages := "", 0; pages == 0 || token != ""; pages++ {
		d := s.must("GET", "/functions?pageSize=3&pageToken="+token, "")
		for _, f := range d.at("functions").([]any) {
			names = append(names, document(f.(map[string]any)).text("name"))
		}
		token = d.text("nextPageToken")
	}
	if got := strings.Join(names, " "); got != "fn-0 fn-1 fn-2 fn-3 fn-4 fn-5 fn-6" {
		t.Errorf("got %s", got)
	}
	for query, want := range map[string]int{
		`filter=name%3D%22fn-3%22`: 1, `filter=name%3D%22none%22`: 0, "folderId=f1": 3, "": 7,
	} {
		if got := len(s.must("GET", "/functions?"+query, "").at("functions").([]any)); got != want {
			t.Errorf("%s: %d functions, want %d", query, got, want)
		}
	}
	operations := s.must("GET", "/functions/fn-1/operations?folderId=f1&pageSize=1", "")
	if operations.text("nextPageToken") != "" || len(operations.at("operations").([]any)) != 1 {
		t.Errorf("got %v", operations)
	}
}

// What is wrong with a request, the answer says by field and rule.
func TestAPI_RefusesByFieldAndRule(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "taken"}`)
	version := s.deploy("taken", answering(t, "x"), "")
	content := answering(t, "x")
	create := func(more string) string {
		return `{"functionId": "taken", "entrypoint": "main.handler", "content": "` + content + `"` + more + `}`
	}
	for _, c := range []struct {
		request, body string
		status        int
		want          string
	}{
		{"POST /functions", `{"name": "Bad_Name"}`, 400, "^name: .*lower-case"},
		{"POST /functions", `{"name": "functions"}`, 400, "^name: .*choose another"},
		{"POST /functions", `{"name": "taken"}`, 409, "taken exists already"},
		{"POST /functions", `{"nmae": "x", "labels": {"any": "thing"}, "extra": {"a": 1}}`, 400, "^extra: there is no such field; nmae: there is no such field$"},
		{"POST /functions", `{"name": 5}`, 400, "^name: must be a string"},
		{"POST /functions", `{"name": "abc"`, 400, "must be one JSON object"},
		{"POST /functions", `{"name": "abc"} {}`, 400, "something follows"},
		{"POST /functions", `[]`, 400, "must be an object"},
		{"POST /functions", `{"name": "abc", "folderId": "Ü"}`, 400, "^folderId: "},
		{"POST /functions", `{"name": "abc", "labels": {"A": "b"}}`, 400, "^labels: "},
		{"PATCH /functions/taken", `{"updateMask": "status"}`, 400, "^updateMask: "},
		{"GET /functions?pageSize=1001", "", 400, "^pageSize: .*1000"},
		{"GET /functions?pageToken=%C3%BC", "", 400, "^pageToken: "},
		{"GET /functions?filter=label%3D1", "", 400, "^filter: "},
		{"GET /functions?pagesize=1", "", 400, "^pagesize: there is no such parameter"},
		{"GET /functions/nobody", "", 404, "function nobody not found"},
		{"GET /versions/nobody", "", 404, "version nobody not found"},
		{"GET /versions:byTag", "", 400, "^functionId: "},
		{"GET /versions:byTag?functionId=taken&tag=none", "", 404, "tag none not found"},
		{"GET /quotas?folderId=Team%20A", "", 400, "^tenant: .*lower-case"},
		{"PATCH /quotas", `{"limits": {"functions": 1}}`, 400, "^folderId: is missing"},
		{"PATCH /quotas", `{"folderId": "default", "limits": {"cats": 1}}`, 400, "^limits.cats: there is no such quota"},
		{"PATCH /quotas", `{"folderId": "default", "allowNet": "no url://"}`, 400, "^allowNet: must be hosts, addresses"},
		{"PATCH /quotas", `{"folderId": "default", "limits": {"functions": -2}}`, 400, "^limits.functions: "},
		{"GET /operations/none", "", 404, "operation none not found"},
		{"POST /versions", `{}`, 400, "^functionId: is missing"},
		{"POST /versions", `{"functionId": "taken", "entrypoint": "main.handler"}`, 400, "^content: "},
		{"POST /versions", `{"functionId": "taken", "content": "%%"}`, 400, "^content: must be base64"},
		{"POST /versions", `{"functionId": "taken", "entrypoint": "main.handler", "content": "bm8gemlw"}`, 400, "^content: is no zip archive"},
		{"POST /versions", create(`, "resources": {"memory": "abc"}`), 400, "^resources.memory: must be a 64-bit number"},
		{"POST /versions", create(`, "resources": {"memory": "100000000"}`), 400, "^resources.memory: "},
		{"POST /versions", create(`, "resources": {"memory": "8589934592"}`), 400, "^resources.memory: .*32-bit"},
		{"POST /versions", create(`, "resources": {"cores": 1}`), 400, "^resources.cores: there is no such field"},
		{"POST /versions", create(`, "executionTimeout": 5`), 400, "^executionTimeout: must be a duration"},
		{"POST /versions", create(`, "executionTimeout": "5m"`), 400, "^executionTimeout: must be a duration"},
		{"POST /versions", create(`, "executionTimeout": "0s"`), 400, "^executionTimeout: "},
		{"POST /versions", create(`, "executionTimeout": "3601s"`), 400, "^executionTimeout: .*1h"},
		{"POST /versions", create(`, "runtime": "nodejs18"`), 400, "^runtime: .*python312"},
		{"POST /versions", create(`, "environment": {"PATH": "/"}`), 400, `"PATH": the name is reserved`},
		{"POST /versions", create(`, "environment": {"A": 1}`), 400, `^environment(\.A)?: must be a string`},
		{"POST /versions", create(`, "tag": ["$latest"]`), 409, `\$latest is set by the service`},
		{"POST /versions", create(`, "tag": ["Bad"]`), 400, "^tag: "},
		{"POST /versions", create(`, "concurrency": "4"`), 400, "^concurrency: "},
		{"POST /versions", create(`, "secrets": [{"id": "x"}]`), 400, "^secret of environment variable"},
		{"POST /versions", create(`, "package": {"bucketName": "x"}`), 400, "^content: give the code in exactly one way: content, package or versionId"},
		{"POST /versions", create(`, "logOptions": {"disabled": true}`), 400, "^logOptions.disabled: "},
		{"POST /versions", create(`, "logOptions": {"minLevel": "LOUD"}`), 400, "^logOptions.minLevel: "},
		{"POST /versions", create(`, "asyncInvocationConfig": {"retriesCount": "101"}`), 400, "^asyncInvocationConfig.retriesCount: "},
		{"POST /versions", create(`, "asyncInvocationConfig": {"successTarget": {"ymqTarget": {"queueArn": "x"}}}`), 400, "successTarget.ymqTarget: is not supported"},
		{"POST /versions", create(`, "versionId": "` + version + `"`), 400, "^content: .*exactly one way"},
		{"POST /versions/" + version + ":setTag", `{"tag": "$latest"}`, 409, "set by the service"},
		{"POST /versions/" + version + ":removeTag", `{"tag": "none"}`, 404, "tag none not found"},
		{"DELETE /versions/" + version, "", 409, "carries the tags"},
		{"DELETE /versions/" + version + "?force=yes", "", 400, "^force: "},
		{"POST /functions/taken:setScalingPolicy", `{"tag": "Bad"}`, 400, "^tag: "},
		{"POST /functions/taken:setScalingPolicy", `{"tag": "a", "zoneInstancesLimit": "-1"}`, 400, "^zoneInstancesLimit: "},
		{"POST /functions/taken:removeScalingPolicy", `{"tag": "a"}`, 404, "tag a not found"},
		{"GET /functions/taken:logs?since=yesterday", "", 400, "^since: .*RFC 3339"},
		{"GET /functions/taken:logs?follow=1", "", 400, "^follow: "},
		{"GET /functions/taken:unknown", "", 404, "openapi.json"},
		{"GET /functions/taken:", "", 404, "openapi.json"},
		{"PUT /functions/taken", "{}", 405, "no method PUT"},
		{"GET /", "", 404, "openapi.json"},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		status, d := s.send(method, path, c.body)
		if message := d.text("message"); status != c.status || !regexp.MustCompile(c.want).MatchString(message) {
			t.Errorf("%s %s\ngot  %d %v\nwant %d %s", c.request, c.body, status, d, c.status, c.want)
		}
		if code, ok := d.at("code").(float64); !ok || code == 0 || d.at("details") == nil {
			t.Errorf("%s: is no google.rpc.Status: %v", c.request, d)
		}
	}
	// Nothing of all this has changed anything.
	if got := s.must("GET", "/versions?functionId=taken", "").at("versions").([]any); len(got) != 1 {
		t.Errorf("there are %d versions", len(got))
	}
}

func TestAPI_ErrorsHaveDetails(t *testing.T) {
	s := startServer(t)
	_, d := s.send("POST", "/functions", `{"nmae": "x"}`)
	details := fmt.Sprint(d.at("details"))
	for _, want := range []string{"google.rpc.BadRequest", "field:nmae", "google.rpc.RequestInfo", "requestId:"} {
		if !strings.Contains(details, want) {
			t.Errorf("%s is not in %s", want, details)
		}
	}
}

func TestAPI_ItsPathsAreNoFunctions(t *testing.T) {
	s := startServer(t)
	for path, want := range map[string]string{
		"/functions/v1/runtimes": "python312", "/functions/v1/nothing": `"code":5`, "/operations/x": `"code":5`,
		"/functions/v2/x": "ProxyIntegrationError", "/functions": "Function functions not found", "/nobody": "Function nobody not found",
	} {
		if _, text := s.raw("GET", path, ""); !strings.Contains(text, want) {
			t.Errorf("%s: %s is not in %s", path, want, text)
		}
	}
	if status, _ := s.raw("TRACE", "/functions/v1/runtimes", ""); status != 405 {
		t.Errorf("TRACE: %d", status)
	}
}

// A page that a user happens to visit must not be able to deploy code.
func TestAPI_BrowsersMayNotChangeAnything(t *testing.T) {
	s := startServer(t)
	post := func(headers ...string) (int, string) {
		r, err := http.NewRequest("POST", s.url+api.BasePath+"/functions", strings.NewReader(`{"name": "evil"}`))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return s.do(r)
	}
	if status, text := post("Content-Type", "text/plain"); status != 415 {
		t.Errorf("text/plain: %d %s", status, text)
	}
	if status, text := post("Content-Type", "application/json", "Origin", "https://elsewhere.example"); status != 403 {
		t.Errorf("other origin: %d %s", status, text)
	}
	if status, text := post("Content-Type", "application/json; charset=utf-8", "Origin", s.url); status != 200 {
		t.Errorf("same origin: %d %s", status, text)
	}
}

func TestAPI_AsynchronousCallsNeedAConfiguration(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "later"}`)
	s.deploy("later", answering(t, "x"), "")
	status, text := s.raw("POST", "/later?integration=async", "{}")
	if status != 400 || !strings.Contains(text, "not configured") || !strings.Contains(text, `"errorCode"`) {
		t.Errorf("got %d %s", status, text)
	}
}

func TestAPI_DescribesItself(t *testing.T) {
	s := startServer(t)
	d := s.must("GET", "/openapi.json", "")
	if d.text("openapi") != "3.0.3" || d.at("paths./functions") == nil {
		t.Errorf("got %.300v", d)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	schemas := d.at("components.schemas").(map[string]any)
	for _, m := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		if schemas[m[1]] == nil {
			t.Errorf("there is no schema %s", m[1])
		}
	}
	if status, text := s.raw("HEAD", api.BasePath+"/openapi.json", ""); status != 200 || text != "" {
		t.Errorf("HEAD: %d %s", status, text)
	}
}

func TestAPI_ALogThatIsFollowedEndsWithTheServer(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "talks"}`)
	s.deploy("talks", code(t, "def handler(event, context):\n    print('said', event['queryStringParameters'].get('n'))\n    return {}\n"), "")
	s.raw("GET", "/talks?n=before", "")
	answer, err := http.Get(s.url + api.BasePath + "/functions/talks:logs?follow=true")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("got %d %v", answer.StatusCode, answer.Header)
	}
	s.raw("GET", "/talks?n=after", "")
	lines := bufio.NewScanner(answer.Body)
	seen := ""
	for lines.Scan() && !strings.Contains(seen, "said after") {
		if lines.Text() == "" {
			continue
		}
		var e api.LogEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		seen += e.Message + "\n"
	}
	if !strings.Contains(seen, "said before") || !strings.Contains(seen, "said after") {
		t.Errorf("seen: %s", seen)
	}
	began := time.Now()
	s.stop()
	for lines.Scan() {
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the log went on for %v", took)
	}
}

func TestQuotas_AreShownSetAndEnforced(t *testing.T) {
	s := startServer(t)
	s.must("PATCH", "/quotas", `{"folderId": "team-a", "limits": {"functions": "1", "calls": -1}}`)
	s.must("POST", "/functions", `{"name": "first-of-a", "folderId": "team-a"}`)
	status, text := s.raw("POST", api.BasePath+"/functions", `{"name": "second-of-a", "folderId": "team-a"}`)
	if status != 429 || !strings.Contains(text, `"code":8`) || !strings.Contains(text, "vivarium tenant quota team-a --functions N") {
		t.Errorf("got %d %s", status, text)
	}
	_, text = s.raw("GET", api.BasePath+"/quotas?folderId=team-a", "")
	for _, want := range []string{
		`{"folderId":"team-a","quotas":[{"name":"functions","limit":"1","use":"1","exceeded":"1"},`,
		`{"name":"codeBytes","limit":"10737418240","use":"0","exceeded":"0"}`, `{"name":"calls","limit":"-1",`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want something with %s", text, want)
		}
	}
	if of := s.must("GET", "/quotas", ""); of.text("folderId") != "default" || of.text("allowNet") != "*" {
		t.Errorf("got %v", of)
	}
	for _, rules := range []string{"example.org:443,10.0.0.0/8", "", "*"} {
		of := s.must("PATCH", "/quotas", `{"folderId": "team-a", "allowNet": "`+rules+`"}`)
		same := s.must("PATCH", "/quotas", `{"folderId": "team-a", "limits": {"functions": 2}}`)
		if of.text("allowNet") != rules || same.text("allowNet") != rules {
			t.Errorf("what %q becomes: %v, %v", rules, of, same)
		}
	}
}

// The list has who has something or settings of their own, and leaves out what only the
// store could count.
func TestTenants_AreListedForTheOperator(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "first-of-a", "folderId": "team-a"}`)
	s.must("PATCH", "/quotas", `{"folderId": "team-b", "allowNet": "example.org"}`)
	s.must("PATCH", "/quotas", `{"folderId": "team-c", "limits": {"timers": 3}}`)
	_, text := s.raw("GET", api.BasePath+"/tenants?pageSize=2", "")
	for _, want := range []string{
		`{"tenants":[{"folderId":"team-a","quotas":[{"name":"functions","limit":"1000","use":"1","exceeded":"0"},`,
		`"allowNet":"*"},{"folderId":"team-b",`, `"allowNet":"example.org"}],"nextPageToken":"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want something with %s", text, want)
		}
	}
	if strings.Contains(text, "async") {
		t.Errorf("got %s", text)
	}
	rest := s.must("GET", "/tenants?pageToken="+s.must("GET", "/tenants?pageSize=2", "").text("nextPageToken"), "")
	if got := fmt.Sprint(rest); !strings.Contains(got, "folderId:team-c") || strings.Contains(got, "team-b") || !strings.Contains(got, "limit:3 name:timers") {
		t.Errorf("the rest is %v", got)
	}
}

// An upload is counted against its tenant while it is received, and no longer.
func TestUpload_CountsAsMemoryOfItsTenant(t *testing.T) {
	s := startServer(t)
	limit := map[quota.Quota]int64{quota.Memory: 4 << 20}
	if err := s.host.Tenants().SetQuotas(t.Context(), access.Operator, access.DefaultTenant, limit); err != nil {
		t.Fatal(err)
	}
	body := func(size int) string {
		return `{"functionId": "nobody", "runtime": "python313", "entrypoint": "main.handler", "content": "` +
			strings.Repeat("A", size) + `"}`
	}
	if status, d := s.send("POST", "/versions", body(8<<20)); status != 429 || !strings.Contains(d.text("message"), "quota of memory") {
		t.Errorf("more than the tenant may hold: got %d, %v", status, d)
	}
	if status, d := s.send("POST", "/versions", body(1<<20)); status == 429 {
		t.Errorf("less than that: got %d, %v", status, d)
	}
	of, err := s.host.Tenants().Quotas(t.Context(), access.Operator, access.DefaultTenant)
	if err != nil || of.Use[quota.Memory] != 0 {
		t.Errorf("%d bytes are still counted, %v", of.Use[quota.Memory], err)
	}
}

func TestVersions_KeepWhatTheyMayReach(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "talker"}`)
	create := func(fields string) (int, document) {
		content := code(t, "def handler(event, context): pass")
		return s.send("POST", "/versions", `{"functionId": "talker", "entrypoint": "main.handler", "content": "`+content+`", `+fields+`}`)
	}
	status, d := create(`"allowNet": "*.example.org:443,10.0.0.0/8", "metadataOptions": {"gceHttpEndpoint": "DISABLED"}`)
	if status != http.StatusOK {
		t.Fatal(status, d)
	}
	text := fmt.Sprint(s.must("GET", "/versions?functionId=talker", ""))
	for _, want := range []string{"allowNet:*.example.org:443,10.0.0.0/8", "gceHttpEndpoint:DISABLED", "awsV1HttpEndpoint:ENABLED"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for fields, want := range map[string]string{
		`"allowNet": "http://example.org"`:                      "allowNet",
		`"metadataOptions": {"awsV1HttpEndpoint": "sometimes"}`: "metadataOptions.awsV1HttpEndpoint",
	} {
		if status, d := create(fields); status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(d), want) {
			t.Errorf("%s: got %d %v", fields, status, d)
		}
	}
}
