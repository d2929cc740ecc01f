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

	"vivarium/host"
)

func TestRun_HelpIsExitCode0(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"run", "--help"}, {"dev", "--help"}, {"serve", "--help"}} {
		code, stdout, stderr := run("", args...)
		if code != ExitOK || !strings.Contains(stdout, "Usage: vivarium") || stderr != "" {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestRun_Version(t *testing.T) {
	code, stdout, stderr := run("", "version")
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
	packed, err := pack(fstest.MapFS{
		"main.py": file, "pkg/part.py": file, ".env": file, "pkg/.hidden/x": file,
		".git/config": file, "__pycache__/main.pyc": file, "env/pyvenv.cfg": file, "env/lib/x.py": file,
	}, ".")
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
	if want := []string{".env", "main.py", "pkg/part.py"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestPack_EqualFilesGiveEqualArchives(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "x", "a/b.py": "y"})
	first, err := pack(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/main.py", "x")
	second, err := pack(os.DirFS(dir), ".")
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
		if isRequest := s.request != nil; isRequest == (len(event.Messages) > 0) {
			t.Errorf("%s: has %d messages; is a request: %v", name, len(event.Messages), isRequest)
		}
	}
}

func TestTerminal_FunctionsCannotSteerIt(t *testing.T) {
	var b bytes.Buffer
	newTerminal(&b).entry(host.LogEntry{Level: host.LevelWarn, Message: "a\x1b]0;title\x07\tb\nc", Payload: json.RawMessage(`{"k":1}`)})
	if got, want := b.String(), "WARN a\ufffd]0;title\ufffd\tb\nc {\"k\":1}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
