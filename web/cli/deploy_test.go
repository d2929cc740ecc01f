package cli

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vivarium/web/api"
	"vivarium/web/requirements"
)

// must runs a command that has to succeed and returns what it prints.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := execute("", args...)
	if code != ExitOK {
		t.Fatalf("%q: exit code %d: %s", args, code, stderr)
	}
	return stdout
}

// The steps in README.md, from a folder to a service that has been restarted.
func TestDeploy_FromAFolderToAService(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	serve := func() *program {
		p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data)
		t.Setenv("VIVARIUM_SERVER", p.url)
		return p
	}
	write := func(text string) {
		writeFile(t, folder+"/main.py", "def handler(event, context):\n    print('in "+text+"')\n    return {'body': '"+text+"'}\n")
	}
	p := serve()
	call := func(path, want string) {
		t.Helper()
		if got := get(t, p, path); got.status != 200 || got.body != want {
			t.Errorf("%s: got %d %s, want %s", path, got.status, got.body, want)
		}
	}
	write("one")
	began := time.Now()
	if out := must(t, "deploy", "hello", folder, "--tag", "v1", "--tag", "prod", "--timeout", "60s"); !strings.Contains(out, "deployed hello") {
		t.Errorf("deploy printed %s", out)
	}
	call("/hello", "one")
	t.Logf("deploy to first answer: %v", time.Since(began))
	write("two")
	must(t, "deploy", "hello", folder, "--tag", "v2", "--timeout", "60s")
	call("/hello", "two")
	call("/hello?tag=prod", "one")

	must(t, "version", "set-tag", "hello@v2", "prod")
	call("/hello?tag=prod", "two")
	must(t, "version", "set-tag", "hello@v1", "prod") // roll back
	call("/hello?tag=prod", "one")
	if out := must(t, "invoke", "hello", "--tag", "prod"); out != `{"body": "one"}` {
		t.Errorf("invoke printed %s", out)
	}
	eventually(t, func() string {
		if out := must(t, "logs", "hello"); !strings.Contains(out, "in one\n") || !strings.Contains(out, "REPORT RequestID: ") {
			return "the log is " + out
		}
		return ""
	})
	list := must(t, "version", "list", "hello")

	if code := p.stop(); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	p = serve()
	call("/hello", "two")
	call("/hello?tag=prod", "one")
	if again := must(t, "version", "list", "hello"); again != list {
		t.Errorf("versions after the restart:\n%s\nbefore:\n%s", again, list)
	}
	if out := must(t, "logs", "hello"); strings.Count(out, "in one\n") < 3 {
		t.Errorf("the log after the restart:\n%s", out)
	}
	must(t, "function", "delete", "hello")
	if got := get(t, p, "/hello"); got.status != 404 {
		t.Errorf("a deleted function answers %d %s", got.status, got.body)
	}
}

func TestDeploy_RefusesCodeThatDoesNotLoad(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{"main.py": "import helper\n", "helper.py": "def handler(event, context):\n    pass\n\nraise ValueError('early')\n"})
	code, stdout, stderr := execute("", "deploy", "brokencode", folder, "-e", "main.handler")
	if code != ExitFailure {
		t.Fatalf("exit code %d: %s", code, stdout)
	}
	for _, want := range []string{"does not load: ValueError: early", "--allow-broken", `File "/function/code/main.py", line 1`, `helper.py", line 4`} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not in:\n%s", want, stderr)
		}
	}
	if code, _, _ := execute("", "function", "get", "brokencode"); code != ExitFailure {
		t.Error("the function is left behind")
	}
	code, stdout, stderr = execute("", "deploy", "brokencode", folder, "-e", "main.handler", "--allow-broken")
	if code != ExitOK || !strings.Contains(stdout, "deployed brokencode") ||
		!strings.Contains(stderr, `helper.py", line 4`) || !strings.Contains(stderr, "ValueError: early") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestManage_PrintsTablesAndJSON(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return 1\n"})
	must(t, "deploy", "printed", folder, "--memory", "256", "--env", "A=b", "--description", "a \x1b[31mred\n one")
	var f api.Function
	if err := json.Unmarshal([]byte(must(t, "function", "get", "printed", "--json")), &f); err != nil || f.Name != "printed" {
		t.Errorf("function get: %+v, %v", f, err)
	}
	var v api.Version
	if err := json.Unmarshal([]byte(must(t, "version", "get", "printed", "--json")), &v); err != nil || v.Resources.Memory != 256<<20 {
		t.Errorf("version get: %+v, %v", v, err)
	}
	var all []api.Function
	if err := json.Unmarshal([]byte(must(t, "function", "list", "--json")), &all); err != nil || len(all) < 2 {
		t.Errorf("function list: %d, %v", len(all), err)
	}
	for command, want := range map[string]string{
		"function list": f.ID, "function get printed": "tag $latest", "version list printed": "256 MB",
		"version get " + v.ID: "env A", "version get printed@$latest": v.ID,
	} {
		out := must(t, strings.Fields(command)...)
		if !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
			t.Errorf("%s printed\n%s", command, out)
		}
	}
}

// Errors end with what to do.
func TestManage_ErrorsSayWhatToDo(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    raise ValueError('x')\n"})
	must(t, "deploy", "raising", folder)
	for _, c := range []struct {
		command string
		code    int
		want    string
	}{
		{"function get nobody", ExitFailure, "function nobody not found"},
		{"version get nobody", ExitFailure, "FUNCTION@TAG"},
		{"version set-tag raising $latest", ExitFailure, "choose another"},
		{"invoke nobody", ExitFailure, "vivarium function list"},
		{"invoke raising", ExitFunction, ""},
		{"function list --server ftp://x", ExitFailure, "http://HOST:PORT"},
		{"function list --server http://127.0.0.1:1", ExitFailure, "vivarium serve --data DIR"},
		{"logs raising --since yesterday", ExitFailure, "write how long ago"},
		{"deploy Bad_Name " + folder, ExitFailure, "name: "},
		{"deploy raising " + folder + " --memory 100", ExitFailure, "multiple of 128"},
		{"deploy raising " + folder + "/none", ExitFailure, "no such file"},
		{"deploy raising " + folder + " --entrypoint x.y --env PATH=/", ExitFailure, "reserved"},
		{"dead-letter replay", ExitFailure, "vivarium dead-letter list"},
		{"completion tcsh", ExitFailure, "bash"},
	} {
		code, stdout, stderr := execute("", strings.Fields(c.command)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q in: %s%s", c.command, code, c.code, c.want, stdout, stderr)
		}
	}
	// What was refused has left nothing behind.
	code, _, _ := execute("", "deploy", "fresh-one", folder, "--tag", "Bad")
	if got, _, _ := execute("", "function", "get", "fresh-one"); code != ExitFailure || got != ExitFailure {
		t.Errorf("a function is left of a deploy that failed: %d, %d", code, got)
	}
}

func TestCompletion_KnowsCommandsAndFlags(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	must(t, "deploy", "zz-completed", writeFiles(t, map[string]string{"main.py": answering("x")}), "--tag", "prod")
	for words, want := range map[string]string{
		"deploy zz-":                        "zz-completed",
		"logs -f zz-":                       "zz-completed",
		"version get zz-":                   "zz-completed",
		"version get zz-completed@":         "zz-completed@$latest zz-completed@prod",
		"version remove-tag zz-completed p": "prod",
		"invoke zz-completed --tag p":       "prod",
		"run . --event-sample ti":           "timer",
		"run . --memory ":                   "",
		"":                                  "backup calls completion dead-letter deploy dev docs export function invoke key logs mcp node replay restore run schema secret serve session tenant timer version",
		"ver":                               "version",
		"version ":                          "get list remove-tag set-tag show",
		"version set-":                      "set-tag",
		"logs hello --fo":                   "--follow",
		"function list --":                  "--api-key --cache-dir --help --json --server --tenant",
		"deploy name ":                      "",
	} {
		out := must(t, append([]string{completeCommand}, strings.Split(words, " ")...)...)
		if got := strings.Join(strings.Fields(out), " "); got != want {
			t.Errorf("%q: got %s, want %s", words, got, want)
		}
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	script := must(t, "completion", "bash") + `vivarium() { printf 'deploy\ndev\n'; }
COMP_WORDS=(vivarium dep); COMP_CWORD=1; _vivarium; echo "${COMPREPLY[@]}"`
	if out, err := exec.Command("bash", "-c", script).CombinedOutput(); err != nil || string(out) != "deploy\n" {
		t.Errorf("bash completes %q, %v", out, err)
	}
}

// wheel writes a wheel with one file.
func wheel(t *testing.T, dir, name, tag, file string) {
	t.Helper()
	wheelOf(t, dir, name, tag, map[string]string{file: "value = 'from " + name + "'\n"})
}

// wheelOf writes a wheel of version 1.0. The file METADATA holds its metadata
// apart from name and version.
func wheelOf(t *testing.T, dir, name, tag string, files map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	info := name + "-1.0.dist-info/"
	all := map[string]string{
		info + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n" + files["METADATA"],
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + tag + "\n",
	}
	for file, text := range files {
		if file != "METADATA" {
			all[file] = text
		}
	}
	record := ""
	for file := range all {
		record += file + ",,\n"
	}
	all[info+"RECORD"] = record + info + "RECORD,,\n"
	for file, text := range all {
		to, err := w.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(to, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+"-1.0-"+tag+".whl"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDeploy_InstallsRequirements(t *testing.T) {
	wheels, cache := t.TempDir(), t.TempDir()
	wheel(t, wheels, "purely", "py3-none-any", "purely.py")
	wheel(t, wheels, "natively", "cp313-cp313-manylinux_2_17_x86_64", "natively.so")
	wheel(t, wheels, "another", "cp313-cp313-win_amd64", "another.pyd")
	wheel(t, wheels, "secretly", "py3-none-any", "secretly/_speedups.so")
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("UV_NO_INDEX", "1")
	t.Setenv("UV_FIND_LINKS", wheels)
	t.Setenv("UV_NO_CACHE", "1")
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{
		"main.py":         "import purely\ndef handler(event, context):\n    return {'body': purely.value}\n",
		requirements.File: "# a comment\npurely==1.0\n",
	})
	deploy := func() (int, string) {
		code, _, stderr := execute("", "--cache-dir", cache, "deploy", "needy", folder, "--timeout", "60s")
		return code, stderr
	}
	if code, stderr := deploy(); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if got := get(t, shared, "/needy"); got.body != "from purely" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	// From now on the index must not be asked for the package.
	if err := os.Remove(filepath.Join(wheels, "purely-1.0-py3-none-any.whl")); err != nil {
		t.Fatal(err)
	}
	if code, stderr := deploy(); code != ExitOK {
		t.Errorf("the second time: exit code %d: %s", code, stderr)
	}
	writeFile(t, folder+"/"+requirements.File, "another\nnatively>=1\n")
	if code, stderr := deploy(); code != ExitFailure || !strings.Contains(stderr, "\n  another: no pure Python wheel, ") || !strings.Contains(stderr, "\n  natively>=1: no pure Python wheel, ") {
		t.Errorf("packages that are native: exit code %d: %s", code, stderr)
	}
	writeFile(t, folder+"/"+requirements.File, "secretly\n")
	if code, stderr := deploy(); code != ExitFailure || !strings.Contains(stderr, "\n  secretly: no pure Python wheel, ") {
		t.Errorf("a package that hides that it is native: exit code %d: %s", code, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "packages", "unfinished-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestRun_ChoosesTheRuntimeWithTheCompiledPackages installs a package that can only be
// had because it is part of the larger guest.
func TestRun_ChoosesTheRuntimeWithTheCompiledPackages(t *testing.T) {
	wheels := t.TempDir()
	wheel(t, wheels, "purely", "py3-none-any", "purely.py")
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("UV_NO_INDEX", "1")
	t.Setenv("UV_FIND_LINKS", wheels)
	t.Setenv("PIP_FIND_LINKS", wheels)
	folder := writeFiles(t, map[string]string{
		"main.py": "import markupsafe, markupsafe._speedups, purely\n" +
			"def handler(event, context):\n    return {'body': markupsafe.escape('<' + purely.value)}\n",
		requirements.File: "purely\nmarkupsafe\n",
	})
	code, stdout, stderr := execute("", "run", folder, "--timeout", "60s", "--refresh")
	if code != ExitOK || stdout != "&lt;from purely\n" && stdout != "&lt;from purely" {
		t.Errorf("exit code %d: %s\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "packages: purely==1.0\nbuilt in: MarkupSafe==") {
		t.Errorf("the choice is not told: %s", stderr)
	}
	if code, _, stderr := execute("", "run", folder, "--runtime", "python313"); code != ExitFailure ||
		!strings.Contains(stderr, "markupsafe: no ") {
		t.Errorf("in the lean runtime: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := execute("", "run", folder, "--runtime", "python313", "--without", "MarkupSafe"); code != ExitFunction ||
		!strings.Contains(stderr, "No module named 'markupsafe'") {
		t.Errorf("without it: exit code %d: %s", code, stderr)
	}
}

func TestServe_TellsHowItIs(t *testing.T) {
	get(t, shared, "/api?name=Metrics")
	get(t, shared, "/raises")
	if got := get(t, shared, "/readyz"); got.status != 200 {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
	got := get(t, shared, "/metrics")
	for _, want := range []string{
		`vivarium_calls_total{function="api",outcome="ok"}`, `vivarium_calls_total{function="raises",outcome="function_error"}`,
		`vivarium_call_duration_seconds_bucket{function="api",le="0.001"}`, `vivarium_cold_starts_total{function="api"}`,
		`vivarium_function_cpu_seconds_total{function="api"}`, `vivarium_function_memory_bytes{function="api"}`, "vivarium_calls_in_progress 0",
		`vivarium_instances{state="idle"}`, "vivarium_functions ", "vivarium_instances_memory_bytes ",
	} {
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s is not in\n%.3000s", want, got.body)
		}
	}
}
