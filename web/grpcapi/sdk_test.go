package grpcapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The cloud's Python SDK, as it is released, does what its users do with it.
func TestPythonSDK(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(cache, "vivarium", "servers", "cloud-sdk", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%v (installed by: bash .ci/servers)", err)
	}
	s := startServer(t)
	out, err := exec.CommandContext(t.Context(), python, "testdata/sdk.py", s.address, s.certificate, s.key).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "done") {
		t.Fatalf("%v\n%s", err, out)
	}
}
