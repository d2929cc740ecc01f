package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vivarium/web/api"
)

// value is a secret that is nowhere else; it is long, so that no compression hides it by
// chance.
const value = "s3cr3t-7f3a9c1e5b8d2f60-value"

// reading is a function that needs its secret when it is imported.
const reading = `import os
TOKEN = os.environ['TOKEN']

def handler(event, context):
    return {'body': TOKEN + ' ' + os.environ.get('PLAIN', '')}
`

// holders returns the files below a folder that have a text, in one form or another.
func holders(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, form := range []string{text, base64.StdEncoding.EncodeToString([]byte(text))[:24]} {
			if bytes.Contains(content, []byte(form)) {
				names = append(names, path)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}
	return names
}

func TestSecret_ReachesTheFunctionAndNothingElse(t *testing.T) {
	data, key := t.TempDir(), filepath.Join(t.TempDir(), "key")
	writeFile(t, key, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))+"\n")
	serve := func() *program {
		p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data, "--secrets-key-file", key)
		t.Setenv("VIVARIUM_SERVER", p.url)
		return p
	}
	p := serve()
	folder := writeFiles(t, map[string]string{"main.py": reading})
	if code, stdout, stderr := execute(value+"\n", "secret", "set", "telegram", "token"); code != ExitOK || strings.Contains(stdout+stderr, value) {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	must(t, "deploy", "with-secret", folder, "--secret", "TOKEN=telegram/token", "--env", "PLAIN=seen-in-the-image", "--env", "TOKEN=of-dev", "--timeout", "60s")
	want := value + " seen-in-the-image"
	if got := get(t, p, "/with-secret"); got.body != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
	eventually(t, func() string {
		if out := must(t, "logs", "with-secret"); !strings.Contains(out, "REPORT") {
			return "the log is " + out
		}
		return ""
	})
	said := must(t, "version", "get", "with-secret", "--json") + must(t, "version", "get", "with-secret") + must(t, "secret", "list") +
		must(t, "secret", "list", "--json") + must(t, "logs", "with-secret") + get(t, p, "/metrics").body + must(t, "function", "get", "with-secret", "--json")
	if strings.Contains(said, value) || strings.Contains(said, "of-dev") || !strings.Contains(said, "telegram") || !strings.Contains(said, `"environmentVariable": "TOKEN"`) {
		t.Errorf("the value, or too little, is in\n%s", said)
	}
	p.stop()
	if names := holders(t, data, value); len(names) > 0 {
		t.Errorf("the value is in %v", names)
	}
	// The search finds what there is: an image has the environment.
	if names := holders(t, data+"/images", "seen-in-the-image"); len(names) == 0 {
		t.Error("no image has the environment; the test searches in the wrong place")
	}
	if strings.Contains(p.stderr.String(), value) {
		t.Errorf("the value is in the log of the server:\n%s", p.stderr)
	}

	// After a restart, and after a change, which comes with the next version.
	p = serve()
	if got := get(t, p, "/with-secret"); got.body != want {
		t.Errorf("after a restart: got %d %s", got.status, got.body)
	}
	if code, _, stderr := execute("another", "secret", "set", "telegram", "token"); code != ExitOK {
		t.Fatal(stderr)
	}
	if got := get(t, p, "/with-secret"); got.body != want {
		t.Errorf("the same version: got %d %s", got.status, got.body)
	}
	must(t, "deploy", "with-secret", folder, "--secret", "TOKEN=telegram/token", "--timeout", "60s", "--tag", "new")
	if got := get(t, p, "/with-secret"); got.body != "another " {
		t.Errorf("the next version: got %d %s", got.status, got.body)
	}
	p.stop()

	// Without the key calls fail, by the operator's fault; the value is in no answer.
	writeFile(t, key, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{8}, 32))+"\n")
	p = serve()
	got := get(t, p, "/with-secret")
	if got.status != 500 || strings.Contains(got.body, "another") || !strings.Contains(p.stderr.String(), "--secrets-key-file") {
		t.Errorf("with another key: got %d %s\n%s", got.status, got.body, p.stderr)
	}
	code, _, stderr := execute("x", "secret", "set", "telegram", "more")
	if code != ExitFailure || !strings.Contains(stderr, "can't be added to") {
		t.Errorf("adding to what can't be decrypted: exit code %d: %s", code, stderr)
	}
	p.stop()

	// Rotation: the old key on the second line.
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, key, string(text)+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	p = serve()
	if got := get(t, p, "/with-secret"); got.body != "another " {
		t.Errorf("with both keys: got %d %s", got.status, got.body)
	}
	p.stop()
	writeFile(t, key, string(text))
	p = serve()
	if got := get(t, p, "/with-secret"); got.body != "another " {
		t.Errorf("with the new key alone: got %d %s", got.status, got.body)
	}
	must(t, "secret", "delete", "telegram")
	must(t, "version", "set-tag", "with-secret@new", "other") // it lives on
	p.stop()
	p = serve()
	if got := get(t, p, "/with-secret"); got.status != 502 || !strings.Contains(got.body, "SecretNotFound") {
		t.Errorf("a deleted secret: got %d %s", got.status, got.body)
	}
}

func TestSecret_ErrorsSayWhatToDo(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{"main.py": answering("x"), "bad.env": "no equals sign\n", "more.env": "A=b\n"})
	for _, c := range []struct{ command, want string }{
		{"secret set telegram token", "--secrets-key-file"},
		{"secret set telegram", "give a KEY"},
		{"secret set telegram token=x", "give the KEY alone"},
		{"secret set telegram --env-file " + folder + "/bad.env", "line 1: write NAME=VALUE"},
		{"secret set telegram --env-file " + folder + "/more.env", "--secrets-key-file"},
		{"secret delete telegram", "secret telegram not found"},
		{"deploy no-secret " + folder + " --secret TOKEN=telegram", "write NAME/KEY"},
		{"deploy no-secret " + folder + " --secret TOKEN=telegram/token", "secret telegram not found"},
		{"deploy no-secret " + folder + " --secret PATH=telegram/token", "reserved"},
	} {
		code, _, stderr := execute("v", strings.Fields(c.command)...)
		if code != ExitFailure || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d: %s", c.command, code, stderr)
		}
	}
	for text, want := range map[string]string{"": "there is no key", "abc": "key 1 is not 32 bytes"} {
		file := filepath.Join(t.TempDir(), "key")
		writeFile(t, file, text)
		code, _, stderr := execute("", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--secrets-key-file", file)
		if code != ExitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d: %s", text, code, stderr)
		}
	}
}

// A project's secrets are pinned: the same file makes no new version until the secret
// changes, and dev takes what env-file has in their place.
func TestSecret_OfAProject(t *testing.T) {
	t.Setenv(secretsVariable, strings.Repeat("0b", 32))
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	t.Setenv("VIVARIUM_SERVER", p.url)
	if os.Getenv(secretsVariable) != "" {
		t.Error("the key is still in the environment")
	}
	t.Chdir(writeFiles(t, map[string]string{
		projectFile: "functions:\n  proj-secret: {path: ., timeout: 60s, env-file: [.env], secrets: {TOKEN: telegram/token}}\n",
		"main.py":   reading, ".env": "TOKEN=of-dev\n",
	}))
	if code, _, stderr := execute("first", "secret", "set", "telegram", "token"); code != ExitOK {
		t.Fatal(stderr)
	}
	deploy := func() (changes int) {
		t.Helper()
		var all []outcome
		if err := json.Unmarshal([]byte(must(t, "deploy", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		return len(all[0].Changes)
	}
	if deploy() != 1 || deploy() != 0 {
		t.Error("the first deploy changes one thing, and the next nothing")
	}
	if got := get(t, p, "/proj-secret"); got.body != "first " {
		t.Errorf("got %d %s", got.status, got.body)
	}
	var v api.Version
	if err := json.Unmarshal([]byte(must(t, "version", "get", "proj-secret", "--json")), &v); err != nil || len(v.Environment) != 0 {
		t.Errorf("the environment has %v, %v", v.Environment, err)
	}
	if code, _, stderr := execute("second", "secret", "set", "telegram", "token"); code != ExitOK {
		t.Fatal(stderr)
	}
	if deploy() != 1 {
		t.Error("the secret has changed, and nothing is deployed")
	}
	if got := get(t, p, "/proj-secret"); got.body != "second " {
		t.Errorf("got %d %s", got.status, got.body)
	}
	code, stdout, stderr := execute("", "export", "terraform")
	if code != ExitOK {
		t.Fatal(stderr)
	}
	f := parseHCL(t, stdout)
	f.want(t, "resource yandex_function proj_secret", nil).want(t, "secrets", map[string]string{
		"id": "var.secret_telegram_id", "version_id": "var.secret_telegram_version_id", "key": "token", "environment_variable": "TOKEN",
	})
	f.want(t, "variable secret_telegram_version_id", nil)
	dev := startFor(t, "dev", ".", "--listen", "127.0.0.1:0")
	defer func() {
		writeFile(t, "./.env", "")
		if p := startFor(t, "dev", ".", "--listen", "127.0.0.1:0"); !strings.Contains(p.stderr.String(), "proj-secret: TOKEN has no value") {
			t.Errorf("dev without the value says %s", p.stderr)
		}
	}()
	if strings.Contains(dev.stderr.String(), "has no value") {
		t.Errorf("dev with the value says %s", dev.stderr)
	}
	if got := get(t, dev, "/proj-secret"); got.body != "of-dev " {
		t.Errorf("dev: got %d %s", got.status, got.body)
	}
}

// Functions of a folder have the secrets of the server that serves it, if it keeps any.
func TestServe_HasTheSecretsOfAProject(t *testing.T) {
	t.Setenv(secretsVariable, strings.Repeat("0c", 32))
	key := os.Getenv(secretsVariable)
	data, dir := t.TempDir(), writeFiles(t, map[string]string{
		projectFile: "functions:\n  proj-told: {path: ., timeout: 60s, env: {TOKEN: of-the-file}, secrets: {TOKEN: telegram/token}}\n",
		"main.py":   reading,
	})
	first := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data)
	t.Setenv("VIVARIUM_SERVER", first.url)
	if code, _, stderr := execute("kept", "secret", "set", "telegram", "token"); code != ExitOK {
		t.Fatal(stderr)
	}
	first.stop()
	t.Setenv(secretsVariable, key)
	if got := get(t, startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", data, "--functions", dir), "/proj-told"); got.body != "kept " {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := get(t, startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", dir), "/proj-told"); got.body != "of-the-file " {
		t.Errorf("without a store: got %d %s", got.status, got.body)
	}
	// A secret that is not there: execute would not return if the functions were served.
	writeFile(t, dir+"/"+projectFile, "functions:\n  proj-told: {path: ., timeout: 60s, secrets: {TOKEN: nobody/none}}\n")
	code, _, stderr := execute("", "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--functions", dir)
	if code != ExitFailure || !strings.Contains(stderr, "secret nobody not found") {
		t.Errorf("a secret that is not there: exit code %d: %s", code, stderr)
	}
}
