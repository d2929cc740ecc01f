package cli

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestSupplyAttacks deploys and runs folders of somebody who means harm to the
// machine that they are deployed from. Each file below testdata/attacks/supply is
// one of them: the promise that it tries to break, what is in the folder, and
// what must become of the command. README.md in host/testdata/attacks describes
// attacks; here a file's sections are
//
//	command   the arguments; $FOLDER is the folder, given as the last one unless
//	          it is named
//	path      where programs are looked for before PATH, $FOLDER in it
//	make      what no archive of texts can hold, a line each, see makeOdd
//	want      exit: the code; says: a part of what is printed, any number of them;
//	          hides: what must not be printed
//	any other a file of the folder; of a package, below sdist/ or wheel/, that
//	          the index has
//
// $INDEX in a file is the address of an index on this machine, which is also the
// one that the user has configured, and $MARK the file that leaves a trace of
// code that ran here, which none may. One attack in four is made; all of them
// with -attacks.all: `go tool task torture`.
func TestSupplyAttacks(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/supply/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no attacks: %v", err)
	}
	t.Setenv("VIVARIUM_SERVER", shared.url)
	t.Setenv("VIVARIUM_API_KEY", "viv_secret")
	tools := installers(t)
	for n, file := range files {
		if !*allAttacks && n%supplyStride != 0 {
			continue
		}
		attack, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, tool := range tools {
			if i > 0 && !strings.Contains(string(txtar.Format(attack)), "\ndeploy ") {
				continue // it installs nothing
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+tool.name, func(t *testing.T) { attackSupply(t, attack, tool) })
		}
	}
}

var allAttacks = flag.Bool("attacks.all", false, "make every attack of TestSupplyAttacks")

// supplyStride is the share of attacks made by default: each starts a Python.
const supplyStride = 4

// tool is an installer of packages, with the PATH that finds it.
type tool struct{ name, path string }

// installers returns the tools on this machine.
func installers(t *testing.T) []tool {
	t.Helper()
	var tools []tool
	var without []string // uv
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := exec.LookPath(filepath.Join(dir, "uv")); err != nil {
			without = append(without, dir)
		} else if len(tools) == 0 {
			tools = append(tools, tool{"uv", os.Getenv("PATH")})
		}
	}
	return append(tools, tool{"pip", strings.Join(without, string(filepath.ListSeparator))})
}

func attackSupply(t *testing.T, attack *txtar.Archive, tool tool) {
	top := t.TempDir()
	folder, mark := filepath.Join(top, "fn"), filepath.Join(top, "mark")
	index := &packageIndex{files: map[string][]byte{}}
	server := httptest.NewServer(index)
	defer server.Close()
	fill := strings.NewReplacer("$INDEX", server.URL, "$FOLDER", folder, "$MARK", mark).Replace
	t.Setenv("MARK", mark)
	t.Setenv("PIP_INDEX_URL", server.URL+"/")
	t.Setenv("UV_DEFAULT_INDEX", server.URL+"/")
	t.Setenv("PIP_FIND_LINKS", "")
	t.Setenv("PIP_NO_CACHE_DIR", "1")
	t.Setenv("UV_CACHE_DIR", filepath.Join(top, "uv"))
	t.Setenv("PATH", tool.path)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) { writeFile(t, filepath.Join(folder, name), text) }
	write("main.py", "def handler(event, context):\n    return {'body': 'ran'}\n")
	var command, want []string
	packages := map[string]map[string]string{}
	for _, f := range attack.Files {
		text := fill(string(f.Data))
		kind, rest, _ := strings.Cut(f.Name, "/")
		switch kind {
		case "command":
			command = strings.Fields(text)
		case "path":
			t.Setenv("PATH", strings.TrimSpace(text)+string(filepath.ListSeparator)+tool.path)
		case "make":
			for line := range strings.Lines(text) {
				if err := makeOdd(folder, strings.TrimSuffix(line, "\n")); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
		case "want":
			want = strings.Split(strings.TrimSpace(text), "\n")
		case "sdist", "wheel":
			name, file, _ := strings.Cut(rest, "/")
			if packages[kind+name] == nil {
				packages[kind+name] = map[string]string{}
			}
			packages[kind+name][file] = text
			index.add(t, kind, name, packages[kind+name])
		default:
			write(f.Name, text)
			if strings.HasPrefix(text, "#!") {
				if err := os.Chmod(filepath.Join(folder, f.Name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if !slices.ContainsFunc(command, func(arg string) bool { return strings.Contains(arg, folder) }) {
		command = append(command, folder)
	}
	t.Chdir(folder)             // as users do with a folder that they have just fetched
	if command[0] == "deploy" { // no packages of another attack
		command = append([]string{"--cache-dir", filepath.Join(top, "cache")}, command...)
	}
	code, stdout, stderr := execute("", command...)
	output := stdout + stderr
	for _, line := range want {
		name, value, _ := strings.Cut(line, ": ")
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		switch name {
		case "exit":
			if strconv.Itoa(code) != value {
				t.Errorf("exit code %d, want %s", code, value)
			}
		case "says":
			if !strings.Contains(output, value) {
				t.Errorf("does not say %q", value)
			}
		case "hides":
			if strings.Contains(output, value) {
				t.Errorf("says %q", value)
			}
		default:
			t.Errorf("want: there is no %q", name)
		}
	}
	if ran, err := os.ReadFile(mark); err == nil {
		t.Errorf("code of the folder ran on this machine: %s", ran)
	}
	for _, secret := range []string{"viv_secret", "root:x:"} {
		if strings.Contains(output, secret) {
			t.Errorf("the output has %s", secret)
		}
	}
	if strings.ContainsFunc(output, steers) {
		t.Errorf("the output steers terminals: %q", output)
	}
	if t.Failed() {
		t.Logf("exit code %d: %q", code, output)
	}
}

// makeOdd creates what a line describes:
//
//	pipe NAME
//	link NAME TARGET
//	sparse NAME BYTES
//	repeat NAME COUNT TEXT   %d in the text is the number, from 0
//	deep COUNT               that many nested folders
//	name NAME                an empty file; quoted names have escapes
func makeOdd(folder, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	name, rest, _ := strings.Cut(rest, " ")
	if text, err := strconv.Unquote(name); err == nil {
		name = text
	}
	path := filepath.Join(folder, name)
	switch verb {
	case "pipe":
		return syscall.Mkfifo(path, 0o600)
	case "link":
		return os.Symlink(rest, path)
	case "sparse":
		size, err := strconv.ParseInt(rest, 10, 64)
		if err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err == nil {
			err = os.Truncate(path, size)
		}
		return err
	case "repeat":
		count, text, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(count)
		var b strings.Builder
		for i := range n {
			fmt.Fprintln(&b, strings.ReplaceAll(text, "%d", strconv.Itoa(i)))
		}
		return errors.Join(err, os.WriteFile(path, []byte(b.String()), 0o600))
	case "deep":
		n, err := strconv.Atoi(name)
		root, openErr := os.OpenRoot(folder)
		for range n {
			if err = errors.Join(err, openErr); err != nil {
				return err
			}
			err = root.Mkdir("d", 0o700)
			root, openErr = root.OpenRoot("d")
		}
		return errors.Join(err, openErr)
	case "name":
		return os.WriteFile(path, nil, 0o600)
	}
	return errors.New("no such line")
}

// packageIndex is a PEP 503 package index.
type packageIndex struct{ files map[string][]byte }

// add adds a package of version 1.0: its sources, with a backend that leaves a
// mark, or a wheel.
func (x *packageIndex) add(t *testing.T, kind, name string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	if kind == "wheel" {
		wheelOf(t, dir, name, "py3-none-any", files)
	} else {
		path := filepath.Join(dir, name+"-1.0.tar.gz")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		w := tar.NewWriter(z)
		files["PKG-INFO"] = "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"
		for file, text := range files {
			err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name + "-1.0/" + file, Mode: 0o600, Size: int64(len(text))}))
			_, writeErr := w.Write([]byte(text))
			err = errors.Join(err, writeErr)
		}
		if err := errors.Join(err, w.Close(), z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	_ = fs.WalkDir(os.DirFS(dir), ".", func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			x.files[file], err = os.ReadFile(filepath.Join(dir, file))
		}
		return err
	})
}

// ServeHTTP implements http.Handler.
func (x *packageIndex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	if file, ok := strings.CutPrefix(path, "files/"); ok {
		if content, ok := x.files[file]; ok {
			_, _ = w.Write(content)
			return
		}
		http.NotFound(w, r)
		return
	}
	page := ""
	for file := range x.files {
		if strings.HasPrefix(file, path+"-1.0") && path != "" {
			page += fmt.Sprintf("<a href=\"/files/%s\">%s</a>\n", url.PathEscape(file), html.EscapeString(file))
		}
	}
	if page == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<!DOCTYPE html><html><body>%s</body></html>", page)
}
