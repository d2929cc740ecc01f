package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vivarium/web/api"
)

// callID returns the id of the newest call of a function.
func callID(t *testing.T, function string, flags ...string) string {
	t.Helper()
	var calls []api.Call
	if err := json.Unmarshal([]byte(must(t, append([]string{"calls", function, "--json"}, flags...)...)), &calls); err != nil || len(calls) == 0 {
		t.Fatalf("%v, %v", calls, err)
	}
	return calls[0].ID
}

// From a call over HTTP to its repetition with other code and another event, across a
// restart.
func TestCalls_AreListedOpenedAndReplayed(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	serve := func() *program {
		p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data, "--redact", "X-Operators")
		t.Setenv("VIVARIUM_SERVER", p.url)
		return p
	}
	p := serve()
	write := func(text string) {
		writeFile(t, folder+"/main.py", "import time\n\ndef handler(event, context):\n    print('seen')\n    time.sleep(0.02)\n    n = event['queryStringParameters']['n']\n"+
			"    return {'statusCode': 201, 'body': '"+text+" ' + str(10 // int(n)), 'headers': {'Set-Cookie': 'a=b'}}\n")
	}
	write("one")
	must(t, "deploy", "divide", folder, "--timeout", "60s")
	for _, n := range []string{"5", "0"} {
		r, err := http.NewRequest("GET", p.url+"/divide?n="+n+"&token=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Operators", "hunter2")
		r.Header.Set("X-Api-Key", "hunter2")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	list := must(t, "calls", "divide")
	if !strings.Contains(list, "ZeroDivisionError") || !strings.Contains(list, "201") || strings.Count(list, "\n") < 3 {
		t.Errorf("calls printed\n%s", list)
	}
	failed := callID(t, "divide", "--failed")
	if code := p.stop(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	p = serve()
	if got := must(t, "calls", "divide"); got != list {
		t.Errorf("after a restart, calls prints\n%s, before\n%s", got, list)
	}
	shown := must(t, "calls", failed)
	for _, want := range []string{"502 ZeroDivisionError", "queue ", "processor ", "HTTP, ", `"n":"0"`, "without the values of X-Api-Key, X-Operators", "integer division"} {
		if !strings.Contains(shown, want) {
			t.Errorf("there is no %q in\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "hunter2") {
		t.Errorf("it tells what it must not:\n%s", shown)
	}
	code, out, messages := execute("", "replay", failed)
	if code != ExitFunction || !strings.Contains(out, "ZeroDivisionError") || !strings.Contains(messages, "status 502") ||
		!strings.Contains(messages, "without the values of X-Api-Key") {
		t.Errorf("replay: exit code %d, %s, %s", code, out, messages)
	}
	write("two")
	must(t, "deploy", "divide", folder, "--tag", "fixed", "--timeout", "60s")
	writeFile(t, folder+"/event.json", `{"queryStringParameters":{"n":"2"}}`)
	for want, args := range map[string][]string{
		"one 5": {"-d", "@" + folder + "/event.json"}, "two 5": {"-d", "@" + folder + "/event.json", "--tag", "$latest"},
		"two 10": {"-d", `{"queryStringParameters":{"n":"1"}}`, "--tag", "fixed"},
	} {
		code, out, messages := execute("", append([]string{"replay", failed}, args...)...)
		if code != ExitOK || !strings.Contains(out, want) || !strings.Contains(messages, "status 201") {
			t.Errorf("%q: exit code %d, %s, %s", args, code, out, messages)
		}
	}
	if list := must(t, "calls", "divide"); strings.Count(list, "HTTP replay") != 4 {
		t.Errorf("calls printed\n%s", list)
	}
	if log := must(t, "logs", "divide", "--request", requestOf(t, failed)); !strings.Contains(log, "seen") {
		t.Errorf("its log is %s", log)
	}
	metrics := get(t, p, "/metrics").body
	if !strings.Contains(metrics, "vivarium_history_dropped_total 0") || !strings.Contains(metrics, `quota="callBytes"`) {
		t.Error("the metrics tell nothing of the history")
	}

	file := filepath.Join(t.TempDir(), "out.pprof")
	execute("", "replay", failed, "--profile", file)
	if wait := pprof(t, file, "wait"); wait["handler /function/code/main.py:5"] < 19*time.Millisecond {
		t.Errorf("the profile has %v", wait)
	}
	// A replay is judged as the call would be.
	code, out, messages = execute("", "replay", failed, "-d", `{"queryStringParameters":{"n":"1"}}`, "--tag", "odd")
	if code != ExitFailure || !strings.Contains(messages, "tag odd not found") {
		t.Errorf("exit code %d, %s, %s", code, out, messages)
	}
	writeFile(t, folder+"/main.py", "def handler(event, context):\n    return 'no response'\n")
	must(t, "deploy", "divide", folder, "--tag", "odd", "--timeout", "60s")
	if code, out, messages := execute("", "replay", failed, "--tag", "odd"); code != ExitFunction || out != `"no response"` || !strings.Contains(messages, "status 502") {
		t.Errorf("exit code %d, %s, %s", code, out, messages)
	}
	if list := must(t, "calls", "divide", "--limit", "1"); !strings.Contains(list, "Malformed serverless function response") {
		t.Errorf("calls printed\n%s", list)
	}
	write("three")
	must(t, "deploy", "divide", folder, "--timeout", "60s")

	if got := must(t, "function", "calls", "divide", "--redact", "n,other"); !strings.Contains(got, "n, other") {
		t.Errorf("function calls printed %s", got)
	}
	get(t, p, "/divide?n=5")
	if shown := must(t, "calls", callID(t, "divide")); !strings.Contains(shown, `"n":"[redacted]"`) {
		t.Errorf("the function's own names are not redacted:\n%s", shown)
	}
	must(t, "function", "calls", "divide", "--no-keep")
	last := callID(t, "divide")
	get(t, p, "/divide?n=5")
	if got := callID(t, "divide"); got != last || must(t, "function", "calls", "divide") != "calls are not kept\n" {
		t.Errorf("a call is kept: %s", got)
	}
	if got := must(t, "function", "calls", "divide", "--keep", "--redact", ""); got != "calls are kept, without the values of the usual names\n" {
		t.Errorf("function calls printed %s", got)
	}
	for _, c := range []struct{ want, args string }{
		{"is no id of a call", "replay divide"}, {"not found", "replay " + failed[:len(failed)-6] + "000000"}, {"no call matches", "calls divide --request x"},
		{"not found", "calls absent"}, {"tag nowhere not found", "replay " + failed + " --tag nowhere"}, {"write how long ago", "calls divide --since x"},
		{"must be a number", "calls divide --limit 5000"},
	} {
		if _, _, messages := execute("", strings.Fields(c.args)...); !strings.Contains(messages, c.want) {
			t.Errorf("%s: got %s", c.args, messages)
		}
	}
	must(t, "function", "delete", "divide")
	if _, _, messages := execute("", "calls", failed); !strings.Contains(messages, "call "+failed+" not found") {
		t.Errorf("after the function was deleted: %s", messages)
	}
	if code := p.stop(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	p = startFor(t, "serve", "--listen", "127.0.0.1:0", "--function", "divide="+folder, "--no-history")
	get(t, p, "/divide?n=5")
	if _, _, messages := execute("", "calls", "divide", "--server", p.url); !strings.Contains(messages, "no calls in the history") {
		t.Errorf("without a history: %s", messages)
	}
	if code := p.stop(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
}

// requestOf returns the request id of a call.
func requestOf(t *testing.T, id string) string {
	t.Helper()
	var call api.Call
	if err := json.Unmarshal([]byte(must(t, "calls", id, "--json")), &call); err != nil {
		t.Fatal(err)
	}
	return call.RequestID
}
