package host

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

func TestCreateVersion_RefusesCodeThatDoesNotLoad(t *testing.T) {
	h := newTestHost(t, Config{})
	f := h.create("fun")
	good := h.version("fun", answering("good"), catalog.VersionSpec{}, "prod")
	for name, c := range map[string]struct {
		source, errorType string
		spec              catalog.VersionSpec
	}{
		"a module that is not there":        {"import datetme\n", "ModuleNotFoundError", catalog.VersionSpec{}},
		"no Python":                         {"def handler(:\n", "SyntaxError", catalog.VersionSpec{}},
		"no such handler":                   {"def handle(event, context): pass\n", "HandlerNotFound", catalog.VersionSpec{}},
		"an import without end":             {"while True: pass\n", "ExecutionTimeout", catalog.VersionSpec{Timeout: 300 * time.Millisecond}},
		"an import that needs more memory":  {"x = bytearray(200 << 20)\n", "MemoryError", catalog.VersionSpec{}},
		"an import that ends the process":   {"import os\nos._exit(3)\n", "RuntimeExit", catalog.VersionSpec{}},
		"an exception, not frozen":          {"1 / 0\n", "ZeroDivisionError", catalog.VersionSpec{NoFreeze: true}},
		"an import without end, not frozen": {"while True: pass\n", "ExecutionTimeout", catalog.VersionSpec{NoFreeze: true, Timeout: 300 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := c.spec
			spec.Entrypoint = "main.handler"
			make := func() (catalog.VersionInfo, error) {
				return h.Catalog().CreateVersion(t.Context(), access.Operator, "fun", spec, archiveOf(t, c.source), []string{"prod"})
			}
			versions := h.Stats().Versions
			_, err := make()
			if fe, ok := errors.AsType[*fault.FunctionError](err); !ok || fe.Type != c.errorType {
				t.Fatalf("got %v, want a function error %s", err, c.errorType)
			}
			info, err := h.Catalog().Function(access.Operator, f.ID)
			if err != nil || info.Tags["prod"] != good.ID || info.Tags[catalog.LatestTag] != good.ID {
				t.Errorf("the tags are %v, %v", info.Tags, err)
			}
			if n := h.Stats().Versions; n != versions {
				t.Errorf("%d versions are there, want %d", n, versions)
			}
			h.want("fun", "", `"good"`)

			spec.AllowBroken = true
			v, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if v.LoadError == nil || v.LoadError.Type != c.errorType {
				t.Errorf("the version tells of %v, want %s", v.LoadError, c.errorType)
			}
			h.wantFault("fun", "", c.errorType)
			if err := h.Catalog().DeleteVersion(t.Context(), access.Operator, v.ID, true); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Catalog().SetTag(t.Context(), access.Operator, good.ID, "prod"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What a version may have while a call imports it, it has while it is tried.
func TestCreateVersion_LoadsWithTheVersionsOwnSettings(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	const source = `
import os
KEY = os.environ["KEY"]
x = bytearray(200 << 20)
def handler(event, context): return KEY
`
	for _, noFreeze := range []bool{false, true} {
		h.version("fun", source, catalog.VersionSpec{
			MemoryMB: 512, Timeout: time.Minute, NoFreeze: noFreeze, Environment: map[string]string{"KEY": "value"},
		})
		h.want("fun", "", `"value"`)
	}
}

func TestCreateVersion_NamesTheHandlersThatThereAre(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	const source = `
from json import dumps
import os
class Config: pass
def handle(event, context): pass
async def greet(event, context): pass
def _hidden(event, context): pass
handler2 = lambda event, context: None
LIMIT = 3
`
	spec := catalog.VersionSpec{Entrypoint: "main.handler"}
	_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, "fun", spec, archiveOf(t, source), nil)
	const want = "module 'main' has no attribute 'handler'; it has: main.handle, main.greet, main.handler2"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What is imported once for all instances may take longer than a call may.
func TestCreateVersion_ImportsThatAreFrozenMayOutlastTheTimeout(t *testing.T) {
	h := newTestHost(t, Config{ImageDir: t.TempDir()})
	h.create("fun")
	h.version("fun", `
import time
until = time.process_time() + 1
while time.process_time() < until: pass
def handler(event, context): return 1
`, catalog.VersionSpec{Timeout: 500 * time.Millisecond})
	h.want("fun", "", "1")
}
