package host

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
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
