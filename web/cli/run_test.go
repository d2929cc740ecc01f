package cli

import (
	"os"
	"strings"
	"testing"
)

func TestRun_PrintsTheAnswersBody(t *testing.T) {
	dir := writeFiles(t, map[string]string{"hello.py": "def handler(event, context):\n" +
		"    print('seen')\n    return {'statusCode': 404, 'headers': {'X-A': 'b'}, 'body': event['httpMethod'] + event['body']}\n"})
	code, stdout, stderr := execute("", "run", dir+"/hello.py", "-d", `{"a": 1}`)
	if code != ExitOK || stdout != `POST{"a": 1}` {
		t.Errorf("exit code %d, stdout %q\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "seen\n") || !strings.Contains(stderr, "REPORT RequestID: ") {
		t.Errorf("stderr lacks the log: %s", stderr)
	}
	code, stdout, stderr = execute("", "run", dir, "-i", "--entrypoint", "hello.handler")
	if code != ExitOK || !strings.HasPrefix(stdout, "HTTP/1.1 404 Not Found\r\n") || !strings.Contains(stdout, "X-A: b\r\n") ||
		!strings.HasSuffix(stdout, "\r\n\r\nGET") {
		t.Errorf("exit code %d, stdout %q\n%s", code, stdout, stderr)
	}
}

func TestRun_Raw(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return {'got': event}\n"})
	for _, c := range []struct{ stdin, data, want string }{
		{"", `{"a": "ы"}`, `{"got": {"a": "\u044b"}}`},
		{"from stdin", "@-", `{"got": "from stdin"}`},
		{"", "@" + dir + "/main.py", `{"got": "def handler(`},
	} {
		code, stdout, stderr := execute(c.stdin, "run", dir, "--raw", "-d", c.data)
		if code != ExitOK || !strings.HasPrefix(stdout, c.want) {
			t.Errorf("-d %s: exit code %d, stdout %s, want %s\n%s", c.data, code, stdout, c.want, stderr)
		}
	}
}

func TestRun_EventSample(t *testing.T) {
	code, stdout, stderr := execute("", "run", "../../examples/timer", "--event-sample", "timer")
	if code != ExitOK || stdout != `{"handled": 1}` {
		t.Errorf("timer: exit code %d, stdout %s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = execute("", "run", "../../examples/echo", "--event-sample", "http")
	if code != ExitOK || !strings.Contains(stdout, `"queryStringParameters": {"param": "one"}`) ||
		!strings.Contains(stdout, `"body": "{\"hello\": \"world\"}"`) {
		t.Errorf("http: exit code %d, stdout %s\n%s", code, stdout, stderr)
	}
}

func TestRun_FunctionErrorIsExitCode1(t *testing.T) {
	code, stdout, stderr := execute("", "run", "../../examples/raises")
	if code != ExitFunction || !strings.HasPrefix(stdout, `{"errorMessage": "'lyrics'", "errorType": "KeyError", "stackTrace": [`) {
		t.Errorf("exit code %d, stdout %s\n%s", code, stdout, stderr)
	}
	if n := strings.Count(stderr, "KeyError: 'lyrics'"); n != 1 {
		t.Errorf("the traceback appears %d times on stderr:\n%s", n, stderr)
	}
}

func TestRun_HintsAtRaw(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return {'body': event['session']}\n"})
	for _, c := range []struct {
		args string
		want bool
	}{
		{`{"session":1}`, true}, {`text`, false}, {`{} --raw`, false}, {`{} --http`, false},
	} {
		data, flag, _ := strings.Cut(c.args, " ")
		code, _, stderr := execute("", append([]string{"run", dir, "-d", data}, strings.Fields(flag)...)...)
		if code != ExitFunction || strings.Contains(stderr, "add --raw") != c.want {
			t.Errorf("%s: exit code %d, want a hint: %v in %s", c.args, code, c.want, stderr)
		}
	}
}

func TestRun_TimeoutIsExitCode1(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    while True: pass\n"})
	code, stdout, stderr := execute("", "run", dir, "--timeout", "300ms")
	if want := `{"errorMessage":"Execution timeout exceeded: 300 ms","errorType":"ExecutionTimeout"}`; code != ExitFunction || stdout != want {
		t.Errorf("exit code %d, stdout %s, want %s\n%s", code, stdout, want, stderr)
	}
}

func TestRun_AnythingElseIsExitCode2(t *testing.T) {
	dir := writeFiles(t, map[string]string{"app.py": "", "large": strings.Repeat("x", 4_000_000), "note.txt": "", "broken.zip": "PK"})
	linked := t.TempDir()
	if err := os.Symlink("/etc/passwd", linked+"/main.py"); err != nil {
		t.Fatal(err)
	}
	const echo = "../../examples/echo"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{dir + "/none"}, "no such file"},
		{[]string{dir}, "--entrypoint"},
		{[]string{dir + "/note.txt"}, "a folder, a .py file or a .zip archive"},
		{[]string{dir + "/broken.zip"}, "zip"},
		{[]string{linked}, "main.py is a symbolic link"},
		{[]string{echo, "--memory", "100"}, "multiple of 128"},
		{[]string{echo, "--memory", "8g"}, "4096"},
		{[]string{echo, "--memory", "much"}, "amount of memory"},
		{[]string{echo, "--timeout", "2h"}, "1h"},
		{[]string{echo, "--timeout", "0s"}, "more than 0"},
		{[]string{echo, "--env", "PATH=/bin"}, "PATH"},
		{[]string{echo, "--env", "2X=1"}, "2X"},
		{[]string{echo, "-d", "@" + dir + "/none"}, "no such file"},
		{[]string{echo, "-d", "@" + dir + "/large"}, "request entity is larger than limits (3670016)"},
		{[]string{echo, "--event-sample", "nosuch"}, "timer"},
		{[]string{echo, "--entrypoint", "handler"}, "main.handler"},
		{[]string{echo, "--raw", "--http"}, "--raw"},
		{[]string{echo, "--nosuch"}, "--nosuch"},
	} {
		code, stdout, stderr := execute("", append([]string{"run"}, c.args...)...)
		if code != ExitFailure || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, want %d; stdout %q; want %q in: %s", c.args, code, ExitFailure, stdout, c.want, stderr)
		}
	}
}

func TestRun_AServiceAccountGivesATokenAndALevelFilters(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n" +
		"    print('{\"message\": \"quiet\", \"level\": \"INFO\"}')\n    return context.token\n"})
	code, stdout, stderr := execute("", "run", dir, "--raw", "--service-account", "aje1", "--min-log-level", "warn")
	if code != ExitOK || !strings.HasPrefix(stdout, `{"access_token": "`) || strings.Contains(stderr, "quiet") {
		t.Errorf("exit code %d, stdout %s\n%s", code, stdout, stderr)
	}
	if code, _, stderr := execute("", "run", dir, "--min-log-level", "loud"); code != ExitFailure || !strings.Contains(stderr, "min_log_level") {
		t.Errorf("a level that is none: exit code %d\n%s", code, stderr)
	}
}
