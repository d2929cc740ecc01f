package cli

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vivarium/host/logs"
)

func TestRun_HelpIsExitCode0(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"run", "--help"}, {"dev", "--help"}, {"serve", "--help"}} {
		code, stdout, stderr := execute("", args...)
		if code != ExitOK || !strings.Contains(stdout, "Usage: vivarium") || stderr != "" {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestRun_Version(t *testing.T) {
	code, stdout, stderr := execute("", "version")
	if code != ExitOK || !strings.Contains(stdout, "CPython 3.") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestMegabytes(t *testing.T) {
	for text, want := range map[string]megabytes{"128": 128, "256m": 256, "256MB": 256, "1g": 1024, "4GB": 4096} {
		var got megabytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "-1", "1.5g", "0", "1k", "99999999999"} {
		if err := new(megabytes).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for an amount of memory", text)
		}
	}
}

func TestOpenSource_SaysHowToWriteAnEntryPoint(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "", "hello.py": ""})
	for _, c := range []struct{ path, entrypoint, want string }{
		{dir, "handler", "as in main.handler"},
		{dir + "/hello.py", "handler", "as in hello.handler"},
		{dir, "./pkg/handler.fn", "as in pkg.handler.fn"},
		{dir, "pkg/mod.py:fn", "as in pkg.mod.fn"},
		{dir, "main:handler", "as in main.handler"},
		{dir, ".handler", "as in main.handler"},
		{dir, "main.", "as in main.main"},
		{dir, "a..b", "as in a.b"},
		{dir, "main.my handler", "as in main.my.handler"},
	} {
		_, err := openSource(c.path, c.entrypoint)
		if err == nil || !strings.Contains(err.Error(), "write FILE.FUNCTION") || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.entrypoint, err, c.want)
		}
	}
	for _, entrypoint := range []string{"main.handler", "pkg.mod.handler", "my-mod.handler", "модуль.функция"} {
		if _, err := openSource(dir, entrypoint); err != nil {
			t.Errorf("%s: %v", entrypoint, err)
		}
	}
}

func TestSource_FindsTheHandler(t *testing.T) {
	const with, without = "def handler(event, context):\n    pass\n", "x = 1\n"
	for _, c := range []struct {
		files      map[string]string
		want, note string
	}{
		{map[string]string{"main.py": with}, "main.handler", ""},
		{map[string]string{"index.py": with}, "index.handler", ""},
		{map[string]string{"index.py": without}, "index.handler", ""},
		{map[string]string{"main.py": with, "index.py": without}, "main.handler", ""},
		{map[string]string{"main.py": without, "index.py": "from app import handler"}, "index.handler", ""},
		{map[string]string{"main.py": without, "index.py": without}, "main.handler", ""},
		{map[string]string{"main.py": with, "index.py": with}, "main.handler", "--entrypoint index.handler"},
	} {
		s, err := openSource(writeFiles(t, c.files), "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if note := strings.Join(b.notes, ""); b.entrypoint != c.want || (note == "") != (c.note == "") || !strings.Contains(note, c.note) {
			t.Errorf("%v: got %+v, %v, want %s", c.files, b, err, c.want)
		}
	}
}

func TestNameOf(t *testing.T) {
	for path, want := range map[string]string{
		"/x/My_Function": "my-function", "/x/hello.py": "hello", "/x/code.v2.zip": "code-v2", "/x/_a_": "a", "/x/api/": "api",
	} {
		if got := nameOf(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := nameOf("."); got != "cli" {
		t.Errorf("the working directory: got %s, want cli", got)
	}
}

func TestPack_LeavesOutWhatIsNoCode(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("x")}
	packed, _, err := pack(zip.Store, fstest.MapFS{
		"main.py": file, "pkg/part.py": file, ".env": file, ".python-version": file, "pkg/.hidden/x": file, "node_modules/x.js": file,
		".git/config": file, "__pycache__/main.pyc": file, "env/pyvenv.cfg": file, "env/lib/x.py": file,
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	if want := []string{"main.py", "pkg/part.py"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestPack_EqualFilesGiveEqualArchives(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "x", "a/b.py": "y"})
	first, _, err := pack(zip.Store, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/main.py", "x")
	second, _, err := pack(zip.Store, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the archives differ")
	}
}

func TestReadSample_AllAreEvents(t *testing.T) {
	names := strings.Split(sampleNames(), ", ")
	if len(names) < 10 {
		t.Errorf("only %v", names)
	}
	for _, name := range names {
		s, err := readSample(name)
		if err != nil {
			t.Fatal(err)
		}
		var event struct{ Messages []json.RawMessage }
		if err := json.Unmarshal(s.event, &event); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if slices.Contains([]string{"alice", "api-gateway", "websocket"}, name) {
			continue
		}
		if isRequest := s.request != nil; isRequest == (len(event.Messages) > 0) {
			t.Errorf("%s: has %d messages; is a request: %v", name, len(event.Messages), isRequest)
		}
	}
}

// What others have written neither controls the terminal nor passes for a
// message of the program.
func TestPlain_LetsNothingSteerTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\r\nand more\n":     "plain\ttext\nand more\n",
		"\x1b]0;t\x07 \x9b31m \u009b":   "\ufffd]0;t\ufffd \ufffd31m \ufffd",
		"a\rb\bc\x7f\x00":               "a\ufffdb\ufffdc\ufffd\ufffd",
		"exe\u202egpj.\u2066x\u200f":    "exe\ufffdgpj.\ufffdx\ufffd",
		"a\u2028b":                      "a\ufffdb",
		"семья 👨\u200d👩\u200d👧 é\u0301": "семья 👨\u200d👩\u200d👧 é\u0301",
	} {
		var b bytes.Buffer
		if n, err := (plain{&b}).Write([]byte(text)); err != nil || n != len(text) || b.String() != want {
			t.Errorf("%q: got %q, %d, %v, want %q", text, &b, n, err, want)
		}
	}
}

func TestPrintJSON_EscapesWhatSteersATerminal(t *testing.T) {
	texts := map[string]string{"a": "\u009b31m \u202e \x7f \x1b \n é 🐍"}
	var b bytes.Buffer
	if err := printJSON(&b, texts); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), steers) {
		t.Errorf("got %q", &b)
	}
	var again map[string]string
	if err := json.Unmarshal(b.Bytes(), &again); err != nil || again["a"] != texts["a"] {
		t.Errorf("got %q, %v, want %q", again, err, texts)
	}
}

func TestTerminal_FunctionsCannotSteerIt(t *testing.T) {
	var b bytes.Buffer
	newTerminal(&b).entry(logs.Entry{Level: logs.LevelWarn, Message: "a\x1b]0;title\x07\tb\nc", Payload: json.RawMessage(`{"k":1}`)})
	if got, want := b.String(), "WARN a\ufffd]0;title\ufffd\tb\nc {\"k\":1}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersion_PrintsJSON(t *testing.T) {
	var told map[string]string
	for _, args := range [][]string{{"version", "--json"}, {"version", "show", "--json"}} {
		if err := json.Unmarshal([]byte(must(t, args...)), &told); err != nil || told["version"] == "" || !strings.HasPrefix(told["cpython"], "3.") {
			t.Errorf("%v: got %v, %v", args, told, err)
		}
	}
}
