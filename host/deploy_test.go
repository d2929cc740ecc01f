package host

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
)

func TestDeploy_RefusesWhatBreaksARule(t *testing.T) {
	h := newTestHost(t, Config{})
	for name, c := range map[string]struct {
		function string
		spec     catalog.VersionSpec
		want     string
	}{
		"no entry point":        {"fun", catalog.VersionSpec{}, "entrypoint: is missing"},
		"short name":            {"f", catalog.VersionSpec{Entrypoint: "a.b"}, "name:"},
		"upper case":            {"Fun", catalog.VersionSpec{Entrypoint: "a.b"}, "name:"},
		"hyphen last":           {"fun-", catalog.VersionSpec{Entrypoint: "a.b"}, "name:"},
		"the server's own":      {"console", catalog.VersionSpec{Entrypoint: "a.b"}, "address of the server's own"},
		"memory not a multiple": {"fun", catalog.VersionSpec{Entrypoint: "a.b", MemoryMB: 100}, "multiple of 128 MB"},
		"memory beyond 32 bits": {"fun", catalog.VersionSpec{Entrypoint: "a.b", MemoryMB: 8192}, "32-bit WebAssembly"},
		"timeout beyond":        {"fun", catalog.VersionSpec{Entrypoint: "a.b", Timeout: 2 * time.Hour}, "execution_timeout"},
		"negative timeout":      {"fun", catalog.VersionSpec{Entrypoint: "a.b", Timeout: -1}, "execution_timeout"},
		"reserved variable":     {"fun", catalog.VersionSpec{Entrypoint: "a.b", Environment: map[string]string{"PATH": "/"}}, `"PATH": the name is reserved`},
		"variable's name":       {"fun", catalog.VersionSpec{Entrypoint: "a.b", Environment: map[string]string{"1A": ""}}, `"1A": a name is`},
		"variable with NUL":     {"fun", catalog.VersionSpec{Entrypoint: "a.b", Environment: map[string]string{"A": "\x00"}}, "without NUL"},
		"long value":            {"fun", catalog.VersionSpec{Entrypoint: "a.b", Environment: map[string]string{"A": strings.Repeat("x", 4097)}}, "4097 bytes"},
		"long environment": {"fun", catalog.VersionSpec{Entrypoint: "a.b", Environment: map[string]string{
			"A": strings.Repeat("x", 2048), "B": strings.Repeat("x", 2048)}}, "environment: names and values have 4098 bytes"},
		"more ready than allowed": {"fun", catalog.VersionSpec{Entrypoint: "a.b", MinInstances: 11}, "min_instances"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Catalog().DeployTransient(access.Operator, c.function, c.spec, nil)
			if _, ok := errors.AsType[*fault.InvalidError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an InvalidError with %q", err, c.want)
			}
		})
	}
	if fs := h.functions(); len(fs) != 0 {
		t.Errorf("functions are left behind: %v", fs)
	}
}

// zipOf makes an archive of names, whose entries are all files with content x.
func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		f, err := w.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, "/") {
			continue
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCodeFromZip_AcceptsOnlyPlainArchives(t *testing.T) {
	if _, err := run.CodeFromZip(zipOf(t, "main.py", "pkg/", "pkg/mod.py", "a/b/c.txt")); err != nil {
		t.Errorf("a plain archive: %v", err)
	}
	link := func() []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		header := &zip.FileHeader{Name: "passwd"}
		header.SetMode(os.ModeSymlink | 0o777)
		f, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte("/etc/passwd"))
		_ = w.Close()
		return b.Bytes()
	}()
	for name, archive := range map[string][]byte{
		"not a zip":        []byte("hello"),
		"empty":            nil,
		"parent":           zipOf(t, "../main.py"),
		"parent inside":    zipOf(t, "a/../../main.py"),
		"absolute":         zipOf(t, "/etc/passwd"),
		"backslash":        zipOf(t, `..\main.py`),
		"twice":            zipOf(t, "main.py", "main.py"),
		"file and folder":  zipOf(t, "main", "main/x.py"),
		"link":             link,
		"cut off":          zipOf(t, "main.py")[:40],
		"not UTF-8":        zipOf(t, "m\xff.py"),
		"NUL in the name":  zipOf(t, "m\x00.py"),
		"a very long name": zipOf(t, strings.Repeat("x", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run.CodeFromZip(archive)
			if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
				t.Errorf("got %v, want an InvalidError", err)
			}
		})
	}
}

// Some programs begin each name with the folder that was packed.
func TestCodeFromZip_DropsADotBeforeNames(t *testing.T) {
	code, err := run.CodeFromZip(zipOf(t, "./", "./main.py", "./pkg/", "./pkg/mod.py"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := code.Entries(), 4; got != want { // the root, main.py, pkg, pkg/mod.py
		t.Errorf("got %d entries, want %d", got, want)
	}
}

func TestCodeFromZip_RefusesABomb(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if err := addZeros(w, "zeros", run.MaxCodeBytes>>20+1); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := run.CodeFromZip(b.Bytes())
	if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
		t.Errorf("got %v, want an InvalidError", err)
	}
}

func TestInvoke_CodeIsReadOnlyAndTmpIsTheInstances(t *testing.T) {
	h := newTestHost(t, Config{MaxCalls: 2})
	h.deployFiles("files", fstest.MapFS{
		"main.py": {Data: []byte(`
import os, sys, errno
def handler(event, context):
    if event == "code":
        try: open("main.py", "a")
        except OSError as e: return errno.errorcode[e.errno]
    if event == "where": return [os.getcwd(), sys.path[0], open("data/x.txt").read(), sys.argv, sorted(os.listdir("/"))]
    if event == "write":
        open("/tmp/seen", "a").write("x")
        return os.listdir("/tmp")
    return os.listdir("/tmp")
`)},
		"data/x.txt": {Data: []byte("content")},
	}, catalog.VersionSpec{})
	h.want("files", `"code"`, `"EROFS"`)
	h.want("files", `"where"`, `["/function/code", "/function/code", "content", [""], ["dev", "etc", "function", "tmp", "usr"]]`)
	h.want("files", `"write"`, `["seen"]`)
	h.want("files", `""`, `["seen"]`)
	h.want("files", `""`, `[]`) // the next instance
}

func TestInvoke_FullTmpIsNoSpaceLeft(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("filler", `
import errno, os
def handler(event, context):
    try:
        with open("/tmp/big", "wb") as f:
            for _ in range(600): f.write(bytes(1 << 20))
    except OSError as e:
        size = os.stat("/tmp/big").st_size
        os.unlink("/tmp/big")
        return [errno.errorcode[e.errno], size >> 20]
`, catalog.VersionSpec{Timeout: time.Minute})
	h.want("filler", "", `["ENOSPC", 512]`)
	h.want("filler", "", `["ENOSPC", 512]`)
}
