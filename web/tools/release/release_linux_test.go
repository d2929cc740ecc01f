package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

var here = target{"linux", runtime.GOARCH}

// served are the files of a release for this machine, and the server that has them.
type served struct {
	url, folder string
}

var releaseFolder, _ = os.MkdirTemp("", "vivarium-release-test-")

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(releaseFolder)
	os.Exit(code)
}

// made makes the release that the tests share.
var made = sync.OnceValues(func() (*served, error) {
	s := &served{folder: releaseFolder}
	s.url = httptest.NewServer(http.FileServer(http.Dir(s.folder))).URL // as long as the process
	var stdout, stderr bytes.Buffer
	return s, run(context.Background(), []string{"-url", s.url + "/", "-out", s.folder, "-targets", here.String(), "1.2.3-rc.4"}, &stdout, &stderr)
})

func releaseOf(t *testing.T) *served {
	t.Helper()
	s, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bare returns a folder to be a machine's root: no compiler, no library, nothing but what
// busybox is, if wanted, and a folder to write to.
func bare(t *testing.T, shell bool) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"bin", "tmp", "home/me", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	put(t, filepath.Join(root, "dev/null"), "") // as far as a shell cares
	if shell {
		box, err := os.ReadFile("/bin/busybox")
		if err != nil {
			t.Fatalf("%v; bash .ci/servers installs it", err)
		}
		put(t, filepath.Join(root, "bin/busybox"), string(box))
		if err := os.Chmod(filepath.Join(root, "bin/busybox"), 0o755); err != nil {
			t.Fatal(err)
		}
		inside(t, root, nil, "/bin/busybox", "--install", "-s", "/bin").must(t)
	}
	return root
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

const hello = "def handler(event, context):\n    return {'body': 'hello'}\n"

// ended is how a program has ended.
type ended struct {
	err    error
	stdout string
	stderr string
}

// must fails the test if the program has failed, and returns what it has printed.
func (e ended) must(t *testing.T) string {
	t.Helper()
	if e.err != nil {
		t.Fatalf("%v: %s%s", e.err, e.stdout, e.stderr)
	}
	return e.stdout
}

// inside runs a program that sees nothing outside of root.
func inside(t *testing.T, root string, change func(*exec.Cmd), name string, args ...string) ended {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Path, c.Err = name, nil // it is not looked for out here
	c.Dir, c.Env = "/", []string{"PATH=/bin:/usr/bin", "HOME=/home/me"}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 { // then only who is root in a world of his own may do it
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
	}
	if change != nil {
		change(c)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	return ended{err, stdout.String(), stderr.String()}
}

// From the installer's first byte to a function's answer, on a machine that has a shell.
func TestInstaller(t *testing.T) {
	s, root := releaseOf(t), bare(t, true)
	put(t, filepath.Join(root, "home/me/hello/main.py"), hello)
	start := time.Now()
	got := inside(t, root, nil, "/bin/sh", "-c", `cd && wget -q -O install.sh `+s.url+`/install.sh && sh install.sh && .local/bin/vivarium run hello`)
	if text := got.must(t); !strings.Contains(text, "installed /home/me/.local/bin/vivarium, version 1.2.3-rc.4\n") || !strings.HasSuffix(text, "\nhello") {
		t.Errorf("got %s", text)
	}
	t.Logf("from the first byte to the first answer: %v", time.Since(start).Round(time.Second))
	if version := inside(t, root, nil, "/home/me/.local/bin/vivarium", "--version").must(t); !strings.HasPrefix(version, "vivarium 1.2.3-rc.4 (") {
		t.Errorf("got %s", version)
	}
	// What can't be installed leaves what is there.
	installed := filepath.Join(root, "home/me/.local/bin/vivarium")
	before, err := os.Stat(installed)
	if err != nil {
		t.Fatal(err)
	}
	damaged := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".gz") {
			_, _ = io.WriteString(w, "no archive")
			return
		}
		http.FileServer(http.Dir(s.folder)).ServeHTTP(w, r)
	}))
	t.Cleanup(damaged.Close)
	for before, want := range map[string]string{
		"VIVARIUM_URL=" + damaged.URL:         "is not what SHA256SUMS says",
		"VIVARIUM_URL=" + damaged.URL + "/no": "/no/SHA256SUMS can't be downloaded",
		"HOME=":                               "there is no home folder; name a folder",
		"uname() { [ $1 = -s ] && echo Linux || echo riscv64; }": "there is no Vivarium for riscv64",
		"uname() { echo Plan9; }":                                "there is no Vivarium for Plan9",
		"command() { [ $2 = sha256sum ]; }":                      "needs curl or wget",
		"command() { [ $2 = wget ]; }":                           "needs sha256sum or shasum",
	} {
		got := inside(t, root, nil, "/bin/sh", "-c", before+"\n. /home/me/install.sh")
		if got.err == nil || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %v, %s%s, want %q", before, got.err, got.stdout, got.stderr, want)
		}
	}
	after, err := os.Stat(installed)
	left, _ := filepath.Glob(filepath.Join(root, "tmp/*"))
	if err != nil || !os.SameFile(before, after) || len(left) > 0 {
		t.Errorf("what was installed: %v, %v; left: %v", after, err, left)
	}
}

func TestDeb(t *testing.T) {
	s, root := releaseOf(t), bare(t, false)
	put(t, filepath.Join(root, "home/me/hello/main.py"), hello)
	dpkg := func(args ...string) string {
		t.Helper()
		text, err := exec.CommandContext(t.Context(), "dpkg", append([]string{"--root=" + root, "--force-not-root"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return string(text)
	}
	dpkg("-i", filepath.Join(s.folder, "vivarium_1.2.3~rc4_"+runtime.GOARCH+".deb"))
	if got := inside(t, root, nil, "/usr/bin/vivarium", "run", "/home/me/hello").must(t); got != "hello" {
		t.Errorf("got %s", got)
	}
	if got := dpkg("-s", "vivarium"); !strings.Contains(got, "Status: install ok installed") || !strings.Contains(got, "Version: 1.2.3~rc4\n") {
		t.Errorf("got %s", got)
	}
	page := exec.CommandContext(t.Context(), "zcat", filepath.Join(root, "usr/share/man/man1/vivarium-deploy.1.gz"))
	if text, err := page.CombinedOutput(); err != nil || !strings.Contains(strings.ReplaceAll(string(text), `\-`, "-"), "--allow-broken") {
		t.Errorf("the manual page: %v: %s", err, text)
	}
	// The unit is checked among those of this machine, with the program where it is now.
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/vivarium.service"))
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "vivarium.service")
	put(t, moved, strings.ReplaceAll(string(text), "/usr/bin/vivarium", filepath.Join(root, "usr/bin/vivarium")))
	for _, check := range [][]string{
		{"verify", moved},
		// 0 is nothing left to take away, 100 everything; of an ordinary service it is 96.
		{"security", "--offline=yes", "--threshold=15", moved},
	} {
		text, err := exec.CommandContext(t.Context(), "systemd-analyze", check...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v: %s", check, err, text)
		}
	}
	dpkg("-P", "vivarium")
	for _, path := range []string{"usr/bin", "etc/default", "usr/lib/systemd", "usr/share/doc/vivarium", "usr/share/man"} {
		if left, err := os.ReadDir(filepath.Join(root, path)); err == nil && len(left) > 0 {
			t.Errorf("%s: %v is left", path, left)
		}
	}
}

func TestWheel(t *testing.T) {
	s := releaseOf(t)
	wheels, err := filepath.Glob(filepath.Join(s.folder, "vivarium_functions-1.2.3rc4-py3-none-*.whl"))
	if err != nil || len(wheels) != 1 {
		t.Fatalf("wheels: %v, %v", wheels, err)
	}
	work := t.TempDir()
	for _, command := range [][]string{
		{"python3", "-m", "venv", filepath.Join(work, "venv")},
		{filepath.Join(work, "venv/bin/pip"), "install", "--no-index", "--no-cache-dir", wheels[0]},
	} {
		if text, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, text)
		}
	}
	put(t, filepath.Join(work, "hello/main.py"), hello)
	c := exec.CommandContext(t.Context(), filepath.Join(work, "venv/bin/vivarium"), "run", filepath.Join(work, "hello"))
	c.Env = []string{"HOME=" + work}
	if got, err := c.Output(); err != nil || string(got) != "hello" {
		t.Errorf("got %s, %v", got, err)
	}
	if text, err := exec.CommandContext(t.Context(), filepath.Join(work, "venv/bin/pip"), "show", "-f", distribution).CombinedOutput(); err != nil ||
		!strings.Contains(string(text), "Version: 1.2.3rc4\n") || !strings.Contains(string(text), "bin/vivarium\n") {
		t.Errorf("pip show: %v: %s", err, text)
	}
	for _, command := range []string{"check", "uninstall"} {
		args := map[string][]string{"check": {"check"}, "uninstall": {"uninstall", "-y", distribution}}[command]
		if text, err := exec.CommandContext(t.Context(), filepath.Join(work, "venv/bin/pip"), args...).CombinedOutput(); err != nil {
			t.Errorf("pip %s: %v: %s", command, err, text)
		}
	}
	if _, err := os.Stat(filepath.Join(work, "venv/bin/vivarium")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pip has left the program: %v", err)
	}
}

// Who tests handlers has the program of the wheel and the package of python-wasi, and runs
// pytest. The types are right.
func TestWheel_WithTheTestsOfHandlers(t *testing.T) {
	s, work := releaseOf(t), t.TempDir()
	program, err := filepath.Glob(filepath.Join(s.folder, "vivarium_functions-*.whl"))
	if err != nil || len(program) != 1 {
		t.Fatalf("wheels: %v, %v", program, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	offline := []string{
		filepath.Join(work, "venv/bin/pip"), "install", "--no-index", "--no-cache-dir", "--find-links", filepath.Join(cache, "vivarium/servers/wheels"),
	}
	tests := filepath.Join(work, "package/testing/tests")
	put(t, filepath.Join(work, "pyright.json"),
		`{"typeCheckingMode": "strict", "venvPath": ".", "venv": "venv", "include": ["package/testing/tests", "package/testing/vivarium_testing"]}`)
	for _, command := range [][]string{
		{"mkdir", filepath.Join(work, "package")},
		// Without what else is there: the guest. Links are files in it.
		{"cp", "-rL", "../../../python-wasi/pyproject.toml", "../../../python-wasi/runtime", "../../../python-wasi/testing", filepath.Join(work, "package")},
		{"python3", "-m", "venv", filepath.Join(work, "venv")},
		append(offline, program[0], "pytest", "mypy"),
		append(offline, filepath.Join(work, "package")),
		{filepath.Join(work, "venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", tests},
		{filepath.Join(work, "venv/bin/mypy"), "--strict", "--cache-dir", filepath.Join(work, "mypy"), tests},
		{"node", filepath.Join(cache, "vivarium/servers/pyright/node_modules/pyright/index.js"), "--project", filepath.Join(work, "pyright.json")},
	} {
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		c.Env = append(os.Environ(), "VIVARIUM_PROGRAM=")
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, text)
		}
	}
}

func TestImage(t *testing.T) {
	s, folder, root := releaseOf(t), t.TempDir(), t.TempDir()
	f, err := os.Open(filepath.Join(s.folder, "vivarium_1.2.3-rc.4_oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unpack(t, f, folder)
	image, config := readImage(t, folder)
	files := mutate.Extract(image)
	defer func() { _ = files.Close() }()
	unpack(t, files, root)
	if got := config.Config.User; got != fmt.Sprintf("%d:%[1]d", nobody) {
		t.Errorf("the user is %s", got)
	}
	as := func(c *exec.Cmd) {
		c.Dir, c.Env = config.Config.WorkingDir, config.Config.Env
		if os.Getuid() == 0 {
			c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		}
	}
	// Nobody is let in before there is a key.
	program := config.Config.Entrypoint[0]
	if got := inside(t, root, as, program, config.Config.Cmd...); got.err == nil || !strings.Contains(got.stderr, "key create") {
		t.Errorf("got %v, %s%s", got.err, got.stdout, got.stderr)
	}
	secret := strings.TrimSpace(inside(t, root, as, program, "key", "create", "--data", "/data").must(t))
	put(t, filepath.Join(root, "tmp/hello/main.py"), hello)
	if got := inside(t, root, as, program, "run", "/tmp/hello").must(t); got != "hello" {
		t.Errorf("got %s", got)
	}
	if secret == "" {
		t.Error("no key")
	}
}

// readImage returns the image for this machine of an index in a layout.
func readImage(t *testing.T, folder string) (v1.Image, *v1.ConfigFile) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := index.IndexManifest()
	if err != nil || len(outer.Manifests) != 1 || outer.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "vivarium:1.2.3-rc.4" {
		t.Fatalf("the index: %+v, %v", outer, err)
	}
	inner, err := index.ImageIndex(outer.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	all, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all.Manifests, func(d v1.Descriptor) bool { return d.Platform.String() == here.String() })
	if i < 0 {
		t.Fatalf("no image for %s: %+v", here, all)
	}
	image, err := inner.Image(all.Manifests[i].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return image, config
}

// unpack unpacks a tar file as a runtime of containers does.
func unpack(t *testing.T, r io.Reader, folder string) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		}
		if err == nil && os.Getuid() == 0 {
			err = os.Chown(path, h.Uid, h.Gid)
		}
		if err == nil {
			err = os.Chmod(path, h.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Who checks a download finds all files listed; the provenance and the bill of materials
// say what they are of.
func TestPapers(t *testing.T) {
	s := releaseOf(t)
	check := exec.CommandContext(t.Context(), "sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS")
	check.Dir = s.folder
	if text, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	sums, err := os.ReadFile(filepath.Join(s.folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if listed := strings.Contains(string(sums), "  "+f.Name()+"\n"); listed == (f.Name() == "SHA256SUMS") {
			t.Errorf("%s: listed: %v", f.Name(), listed)
		}
	}
	var bill struct {
		Components []struct{ Name, Version string }
	}
	read(t, filepath.Join(s.folder, "vivarium_1.2.3-rc.4_linux_"+runtime.GOARCH+".cdx.json"), &bill)
	versions := map[string]string{}
	for _, c := range bill.Components {
		versions[c.Name] = c.Version
	}
	info, err := buildinfo.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if versions["go"] != strings.TrimPrefix(info.GoVersion, "go") || versions["github.com/tetratelabs/wazero"] == "" ||
		versions["cpython"] == "" || versions["openssl"] == "" || versions["cryptography"] == "" {
		t.Errorf("the bill: %v", versions)
	}
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			BuildDefinition struct{ ResolvedDependencies []map[string]any }
		}
	}
	read(t, filepath.Join(s.folder, "provenance.json"), &statement)
	for _, f := range statement.Subject {
		if !strings.Contains(string(sums), f.Digest["sha256"]+"  "+f.Name+"\n") {
			t.Errorf("provenance of %s: %v", f.Name, f.Digest)
		}
	}
	if len(statement.Subject) < 5 || len(statement.Predicate.BuildDefinition.ResolvedDependencies) != 5 {
		t.Errorf("provenance: %+v", statement)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Homebrew's formula names an archive and its checksum for each system. The programs are
// not the real ones: what is tested is what is said of their archives.
func TestFormula(t *testing.T) {
	r := release{version: version{core: "1.2.3"}, url: "https://example.org/v", out: t.TempDir(), root: "../../..", targets: targets,
		files: map[target]string{}, sums: map[string]string{}}
	for _, system := range targets {
		r.files[system] = filepath.Join(t.TempDir(), "program")
		put(t, r.files[system], system.String())
	}
	if err := errors.Join(r.archives(t.Context()), r.scripts(t.Context())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.out, "vivarium.rb"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)url "https://example.org/v/(\S+)"\s+sha256 "(\w+)"`).FindAllStringSubmatch(string(text), -1)
	named := map[string]bool{}
	for _, m := range found {
		sum, err := checksum(filepath.Join(r.out, m[1]))
		if err != nil || sum != m[2] {
			t.Errorf("%s: %v, %s, want %s", m[1], err, m[2], sum)
		}
		named[m[1]] = true
	}
	if len(named) != len(targets) || strings.Contains(string(text), "@") && regexp.MustCompile(`@[A-Z]`).Match(text) {
		t.Errorf("%v: %s", named, text)
	}
}

func TestRun_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-url", "http://x"}, "name a version"},
		{[]string{"1.0.0"}, "-url"},
		{[]string{"-url", "http://x", "1.0"}, `"1.0" is not a version`},
		{[]string{"-url", "http://x", "v1.0.0"}, `"v1.0.0" is not a version`},
		{[]string{"-url", "http://x", "01.0.0"}, `"01.0.0" is not a version`},
		{[]string{"-url", "http://x", "-targets", "plan9/386", "1.0.0"}, `no programs for "plan9/386"`},
	} {
		if err := run(t.Context(), c.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.args, err, c.want)
		}
	}
}
