package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"vivarium/web/api"
)

// runFlags are flags of deploy that are about this run, not settings of a function.
var runFlags = []string{"help", "cache-dir", "server", "api-key", "json", "tenant", "refresh", "without", "allow-broken"}

// A flag that is a setting can be said in a vivarium.yaml, and what runs functions has
// the same ones.
func TestProject_EachFlagIsAKey(t *testing.T) {
	parser, err := kong.New(&grammar{}, kong.Vars{"samples": "", "runtimes": "", "server": ""})
	if err != nil {
		t.Fatal(err)
	}
	keys := functionFlags("tag", "secret", "ephemeral-disk", "entrypoint") // a plural there, since there may be several
	seen := 0
	for _, command := range parser.Model.Children {
		if command.Name != "deploy" {
			continue
		}
		for _, flag := range command.Flags {
			if seen++; slices.Contains(keys, flag.Name) == slices.Contains(runFlags, flag.Name) {
				t.Errorf("--%s of deploy must be a key of %s or one of %v", flag.Name, projectFile, runFlags)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d flags", seen)
	}
}

func TestProject_TellsWhereWhatIsWrong(t *testing.T) {
	outside := writeFiles(t, map[string]string{"main.py": answering("x"), ".env": "A=b\n"})
	for text, want := range map[string]string{
		"":                                                                           "1:1: the file is empty",
		"functions: {}":                                                              "1:1: functions: there are none",
		"function: {}":                                                               "1:1: function: there is no such key; did you mean functions?",
		"functions:\n  hello: {memmory: 256}":                                        "2:11: functions.hello.memmory: there is no such key; did you mean memory?",
		"functions:\n  hello: {memory: 100}":                                         "2:11: functions.hello.memory: 100 MB must be a multiple of 128",
		"functions:\n  hello: {memory: lots}":                                        "2:19: functions.hello.memory: \"lots\" is not an amount",
		"functions:\n  hello: {timeout: 0s}":                                         "2:11: functions.hello.timeout: must be more than 0",
		"functions:\n  hello: {timeout: 2h}":                                         "functions.hello.timeout: 2h0m0s must be more than 0 and at most",
		"functions:\n  hello: {timeout: 10}":                                         "functions.hello.timeout: must be a time such as",
		"functions:\n  hello: {env: {PATH: x}}":                                      "2:17: functions.hello.env.PATH: the name is reserved",
		"functions:\n  hello: {allow-net: 'a b'}":                                    "2:11: functions.hello.allow-net: must be hosts",
		"functions:\n  hello: {runtime: python2}":                                    "2:11: functions.hello.runtime: ",
		"functions:\n  hello: {tags: [Prod]}":                                        "2:11: functions.hello.tags: ",
		"functions:\n  hello: {tags: [$latest]}":                                     "2:11: functions.hello.tags: ",
		"functions:\n  hello: {async: {retries: 101}}":                               "2:19: functions.hello.async.retries: 101 must be",
		"functions:\n  hello: {scaling: {instances-limit: -1}}":                      "2:21: functions.hello.scaling.instances-limit: -1 must be",
		"functions:\n  hello: {entrypoint: 'main:handler'}":                          "2:11: functions.hello.entrypoint: main:handler: write FILE.FUNCTION",
		"functions:\n  hello: {path: nowhere}":                                       "2:11: functions.hello.path: ",
		"functions:\n  hello: {path: ../x}":                                          "2:11: functions.hello.path: ../x must be below the folder of vivarium.yaml",
		"functions:\n  hello: {path: " + outside + "}":                               "must be below the folder of vivarium.yaml",
		"functions:\n  hello: {path: out}":                                           "2:11: functions.hello.path: out is a symbolic link",
		"functions:\n  hello: {path: out/main.py}":                                   "2:11: functions.hello.path: ",
		"functions:\n  hello: {env-file: [out/.env]}":                                "2:11: functions.hello.env-file: ",
		"functions:\n  hello: {env-file: [" + outside + "/.env]}":                    "must be below the folder",
		"functions:\n  hello: {env-file: [hello/none.env]}":                          "functions.hello.env-file: open hello/none.env: no such file",
		"functions:\n  hello: {env-file: [hello/main.py]}":                           "functions.hello.env-file: hello/main.py: line 1: write NAME=VALUE",
		"functions:\n  Hello: {}":                                                    "2:3: functions.Hello: \"Hello\" must have 3 to 63",
		"functions:\n  hello: {timers: {tick: {}}}":                                  "functions.hello.timers.tick: needs the key cron",
		"functions:\n  hello: {timers: {tick: {cron: sometimes}}}":                   "2:27: functions.hello.timers.tick.cron: ",
		"functions:\n  hello: {timers: {tick: {cron: '@daily', time-zone: Mars}}}":   "functions.hello.timers.tick.time-zone: ",
		"functions:\n  hello: {timers: {tick: {cron: '@daily', retry-attempts: 2}}}": "functions.hello.timers.tick.retry-interval: 0s must be",
		"functions:\n  hello: {timers: {tick: {cron: '@daily'}}}\n  other: {path: hello, timers: {tick: {cron: '@daily'}}}": "has a timer of this name, too",
		"functions:\n  hello: {memory: 100}\n  other: {path: hello, memory: 200}":                                           "3:24: functions.other.memory: 200 MB must",
	} {
		dir := writeFiles(t, map[string]string{projectFile: text, "hello/main.py": answering("x")})
		if err := os.Symlink(outside, dir+"/out"); err != nil {
			t.Fatal(err)
		}
		_, err := readProject(dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), filepath.Join(dir, projectFile)+":") {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	dir := t.TempDir()
	if err := os.Symlink(outside+"/main.py", dir+"/"+projectFile); err != nil {
		t.Fatal(err)
	}
	if _, err := readProject(dir); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
}

// twoFunctions is a project with two functions, one of which has all kinds of settings.
const twoFunctions = `functions:
  proj-one:
    path: one
    memory: 256
    timeout: 60s
    env: {COLOUR: blue, N: 1}
    env-file: [.env]
    tags: [prod]
    description: the first
    public: true
    async: {retries: 2, success: proj-two}
    scaling: {instances-limit: 3}
    timers:
      proj-tick: {cron: '0 3 * * *', payload: hello, retry-attempts: 2, retry-interval: 20s}
  proj-two: {path: two, timeout: 60s}
`

func projectFiles() map[string]string {
	return map[string]string{
		projectFile: twoFunctions, ".env": "SECRET=s\nCOLOUR=red\n",
		"one/main.py": "import os\ndef handler(event, context):\n    return {'body': os.environ['COLOUR'] + os.environ['SECRET'] + os.environ['N']}\n",
		"two/main.py": answering("two"),
	}
}

func TestDeploy_AProjectDeploysWhatChanged(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	dir := writeFiles(t, projectFiles())
	t.Chdir(dir)
	t.Cleanup(func() {
		must(t, "function", "delete", "proj-one")
		must(t, "function", "delete", "proj-two")
	})
	deploy := func(args ...string) map[string]outcome {
		t.Helper()
		var all []outcome
		if err := json.Unmarshal([]byte(must(t, append([]string{"deploy", "--json"}, args...)...)), &all); err != nil {
			t.Fatal(err)
		}
		byName := map[string]outcome{}
		for _, o := range all {
			byName[o.Function] = o
		}
		return byName
	}
	expect := func(got map[string]outcome, function string, want ...string) {
		t.Helper()
		changes := strings.Join(got[function].Changes, ", ")
		for _, text := range want {
			if !strings.Contains(changes, text) {
				t.Errorf("%s: %q is not in: %s", function, text, changes)
			}
		}
		if len(want) != len(got[function].Changes) {
			t.Errorf("%s: got %s, want %v", function, changes, want)
		}
	}
	first := deploy()
	expect(first, "proj-one", "new version", "scaling policy set", "anyone may call it now", "timer proj-tick set")
	expect(first, "proj-two", "new version")
	if got := get(t, shared, "/proj-one?tag=prod"); got.body != "blues1" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	var v api.Version
	if err := json.Unmarshal([]byte(must(t, "version", "get", "proj-one@prod", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Resources.Memory != 256<<20 || v.Description != "the first" || v.Async == nil || v.Async.RetriesCount != 2 {
		t.Errorf("the version is %+v", v)
	}

	again := deploy()
	expect(again, "proj-one")
	expect(again, "proj-two")
	if again["proj-one"].VersionID != first["proj-one"].VersionID {
		t.Error("another version without a change")
	}

	// A change that is none of the code's or a version's settings makes no version.
	writeFile(t, dir+"/"+projectFile, strings.NewReplacer("'0 3 * * *'", "'0 4 * * *'", "public: true", "public: false").Replace(twoFunctions))
	expect(deploy(), "proj-one", "only holders of keys", "timer proj-tick set")
	if list := must(t, "timer", "list", "proj-one"); strings.Count(list, "proj-tick") != 1 || !strings.Contains(list, "0 4 * * *") {
		t.Errorf("timers:\n%s", list)
	}

	writeFile(t, dir+"/"+projectFile, strings.Replace(twoFunctions, "COLOUR: blue", "COLOUR: green", 1))
	writeFile(t, dir+"/two/main.py", answering("three"))
	only := deploy("proj-two")
	expect(only, "proj-two", "new version")
	if len(only) != 1 {
		t.Errorf("got %v", only)
	}
	changed := deploy()
	expect(changed, "proj-one", "new version", "anyone may call it now", "timer proj-tick set")
	expect(changed, "proj-two")
	if got := get(t, shared, "/proj-one"); got.body != "greens1" {
		t.Errorf("got %d %s", got.status, got.body)
	}

	// The tag was moved by hand.
	must(t, "version", "set-tag", first["proj-one"].VersionID, "prod")
	expect(deploy(), "proj-one", "tag prod moved")

	// One that does not load does not keep the other from being deployed.
	writeFile(t, dir+"/one/main.py", "raise ValueError('early')\n")
	writeFile(t, dir+"/two/main.py", answering("four"))
	code, stdout, stderr := execute("", "deploy")
	if code != ExitFailure || !strings.Contains(stderr, "proj-one: ") || !strings.Contains(stderr, "ValueError: early") ||
		!strings.Contains(stderr, "1 of 2 functions") || !strings.Contains(stdout, "proj-two: new version") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestDeploy_AProjectExplainsWhatItCannotDo(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	t.Chdir(writeFiles(t, projectFiles()))
	for command, want := range map[string]string{
		"deploy --memory 256":             "--memory: vivarium.yaml says this",
		"deploy --async-retries 1":        "--async-retries: vivarium.yaml says this",
		"deploy --tag x":                  "--tag: vivarium.yaml says this",
		"deploy proj-tow":                 "has no function proj-tow; did you mean proj-two? (there are: proj-one, proj-two)",
		"dev --timeout 5s":                "--timeout: vivarium.yaml says this",
		"dev --event-sample timer":        "--event-sample: vivarium.yaml says this",
		"deploy proj-one nowhere --tag x": "no such file",
	} {
		code, _, stderr := execute("", strings.Fields(command)...)
		if code != ExitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", command, code, stderr)
		}
	}
	t.Chdir(t.TempDir())
	if code, _, stderr := execute("", "deploy"); code != ExitFailure || !strings.Contains(stderr, "vivarium deploy NAME PATH") {
		t.Errorf("without a file: exit code %d: %s", code, stderr)
	}
}

// The file's own settings are not part of the code, which anybody with the key can
// download, and which would change with them.
func TestProject_TheFileIsNoCode(t *testing.T) {
	dir := writeFiles(t, map[string]string{projectFile: "functions: {alone: {}}\n", "main.py": answering("x"), "sub/" + projectFile: "x"})
	p, err := readProject(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.functions[0].source.read()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b.archive); strings.Contains(text, "functions: {alone") || !strings.Contains(text, "sub/"+projectFile) {
		t.Errorf("the archive has %s, or too little", projectFile)
	}
}

func TestServe_HonoursAProject(t *testing.T) {
	dir := writeFiles(t, projectFiles())
	writeFile(t, dir+"/three/main.py", answering("three")) // which the file does not name
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", dir)
	for path, want := range map[string]string{"/proj-one": "200 blues1", "/proj-two": "200 two"} {
		if got := get(t, p, path); fmt.Sprint(got.status, " ", got.body) != want {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
	if got := get(t, p, "/three"); got.status != 404 {
		t.Errorf("a function that the file does not name: %d %s", got.status, got.body)
	}
}

// ticking is a project with a timer, whose function prints what it gets.
func ticking(cron string) map[string]string {
	return map[string]string{
		projectFile: "functions:\n  proj-tick:\n    path: .\n    timeout: 60s\n    timers: {proj-beat: {cron: '" + cron + "', payload: heard, tag: prod}}\n",
		"main.py":   "def handler(event, context):\n    print('tick:', event['messages'][0]['details']['payload'])\n",
	}
}

func says(p *program, text string) func() string {
	return func() string {
		if log := p.stderr.String(); !strings.Contains(log, text) {
			return "it does not say " + text + ":\n" + log
		}
		return ""
	}
}

func TestServe_HasTheTimersOfAProject(t *testing.T) {
	dir := writeFiles(t, ticking("* * * * * *"))
	eventually(t, says(startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", dir), "tick: heard"))
	kept := startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", dir, "--data", t.TempDir())
	eventually(t, says(kept, "proj-tick: its timers don't tick"))
}

func TestDev_HasTheTimersOfAProject(t *testing.T) {
	dir := writeFiles(t, ticking("* * * * * *"))
	p := startFor(t, "dev", dir, "--listen", "127.0.0.1:0")
	eventually(t, says(p, "tick: heard"))
	t.Setenv("VIVARIUM_SERVER", p.url)
	must(t, "timer", "create", "proj-mine", "proj-tick", "--cron", "0 3 * * *")
	timers := func() (crons []string) {
		t.Helper()
		get(t, p, "/proj-tick") // what is saved is in effect then
		var all []api.Timer
		if err := json.Unmarshal([]byte(must(t, "timer", "list", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		for _, timer := range all {
			crons = append(crons, timer.Name+" "+timer.Cron)
		}
		return crons
	}
	writeFile(t, dir+"/"+projectFile, ticking("0 4 * * *")[projectFile])
	if got := fmt.Sprint(timers()); got != "[proj-beat 0 4 * * * proj-mine 0 3 * * *]" {
		t.Errorf("after a change: %s", got)
	}
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-tick: {path: .}\n")
	if got := fmt.Sprint(timers()); got != "[proj-mine 0 3 * * *]" {
		t.Errorf("without timers: %s", got)
	}
}

func TestDev_ServesAProjectAndFollowsIt(t *testing.T) {
	dir := writeFiles(t, projectFiles())
	p := startFor(t, "dev", dir, "--listen", "127.0.0.1:0")
	becomes := func(path string, status int, want string) {
		t.Helper()
		if got := get(t, p, path); got.status != status || !strings.Contains(got.body, want) {
			t.Errorf("%s: got %d %s, want %d %s", path, got.status, got.body, status, want)
		}
	}
	becomes("/proj-one", 200, "blues1")
	becomes("/proj-two", 200, "two")
	writeFile(t, dir+"/two/main.py", answering("three"))
	becomes("/proj-two", 200, "three")
	writeFile(t, dir+"/.env", "SECRET=t\n")
	becomes("/proj-one", 200, "bluet1")
	writeFile(t, dir+"/"+projectFile, strings.Replace(twoFunctions, "COLOUR: blue", "COLOUR: green", 1))
	becomes("/proj-one", 200, "greent1")

	// A broken file leaves all as it was, and is told once.
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-one: {memroy: 128}\n")
	becomes("/proj-one", 200, "greent1")
	becomes("/proj-two", 200, "three")
	if told := strings.Count(p.stderr.String(), "2:14: functions.proj-one.memroy: there is no such key; did you mean memory?"); told != 1 {
		t.Errorf("told %d times:\n%s", told, p.stderr.String())
	}
	// One function goes, another comes.
	writeFile(t, dir+"/new/main.py", answering("new"))
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-two: {path: two}\n  proj-new: {path: new, allow-net: public}\n")
	becomes("/proj-new", 200, "new")
	becomes("/proj-two", 200, "three")
	becomes("/proj-one", 404, "")
	// And comes back.
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-one: {path: new}\n")
	becomes("/proj-one", 200, "new")
	becomes("/proj-two", 404, "")

	// Even while a call of what it was is in progress.
	writeFile(t, dir+"/new/main.py", "import time\ndef handler(event, context):\n    print('sleeping', flush=True)\n    time.sleep(1)\n    return {'body': 'slept'}\n")
	slept := make(chan string)
	go func() { slept <- get(t, p, "/proj-one").body }()
	eventually(t, func() string {
		if log := p.stderr.String(); !strings.Contains(log, "sleeping") {
			return log
		}
		return ""
	})
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-two: {path: two}\n")
	becomes("/proj-two", 200, "three")
	writeFile(t, dir+"/two/main.py", answering("back"))
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-one: {path: two}\n")
	becomes("/proj-one", 200, "back")
	if got := <-slept; got != "slept" {
		t.Errorf("the call in progress got %s", got)
	}
}

func TestSchema_DescribesTheFile(t *testing.T) {
	var schema struct {
		Properties struct {
			Functions struct {
				AdditionalProperties struct {
					Properties map[string]struct {
						Type        any
						Description string
					}
				}
			}
		}
	}
	text := must(t, "schema")
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	keys := schema.Properties.Functions.AdditionalProperties.Properties
	if keys["memory"].Description == "" || keys["public"].Type != "boolean" || keys["tags"].Type != "array" || strings.Contains(text, "${") {
		t.Errorf("got %s", text)
	}
}
