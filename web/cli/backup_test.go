package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Somebody loses the data folder, has a backup, and goes on with that.
func TestBackup_BringsAServerBack(t *testing.T) {
	dir := t.TempDir()
	data, backup, again := filepath.Join(dir, "data"), filepath.Join(dir, "backup"), filepath.Join(dir, "again")
	serve := func(data string) *program {
		p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data)
		t.Setenv("VIVARIUM_SERVER", p.url)
		return p
	}
	p := serve(data)
	must(t, "deploy", "fun", writeFiles(t, map[string]string{"main.py": answering("kept")}), "--tag", "prod")
	must(t, "timer", "create", "nightly", "fun", "--cron", "0 3 * * *")
	secret := strings.TrimSpace(must(t, "key", "create"))
	if code, _, stderr := execute("", "backup", "--data", data, backup); code != ExitFailure || !strings.Contains(stderr, "stop the server") {
		t.Errorf("of a folder in use: exit code %d, %s", code, stderr)
	}
	p.stop()
	if code, _, stderr := execute("", "backup", "--data", data, backup); code != ExitOK || !strings.Contains(stderr, "in "+backup) {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if code, _, stderr := execute("", "restore", "--data", data, backup); code != ExitFailure || !strings.Contains(stderr, "a store already") {
		t.Errorf("into a store: exit code %d, %s", code, stderr)
	}
	// The folder is lost but for what says how far it had come.
	if err := os.Rename(filepath.Join(data, "store"), filepath.Join(dir, "lost")); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{data, again} {
		if code, _, stderr := execute("", "restore", "--data", data, backup); code != ExitOK || !strings.Contains(stderr, "restored from") {
			t.Fatalf("exit code %d, %s", code, stderr)
		}
		t.Setenv("VIVARIUM_API_KEY", secret)
		p := serve(data)
		got := must(t, "version", "list", "fun") + must(t, "timer", "list")
		if !strings.Contains(got, "prod") || !strings.Contains(got, "nightly") {
			t.Errorf("got %s", got)
		}
		if got := must(t, "invoke", "fun"); !strings.Contains(got, "kept") {
			t.Errorf("it answers %s", got)
		}
		if strings.Contains(p.stderr.String(), "damaged") {
			t.Errorf("the log has %s", p.stderr.String())
		}
		p.stop()
	}
}
