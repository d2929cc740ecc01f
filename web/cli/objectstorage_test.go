package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vivarium/web/api"
	"vivarium/web/objects/objectstest"
)

// packaged asks for a version whose code is a package, and returns the answer's status and
// text.
func packaged(t *testing.T, url, key, function string, p api.Package) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"functionId": function, "runtime": "python313", "entrypoint": "main.handler", "package": p})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+api.BasePath+"/versions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Api-Key "+key)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// A version takes its code from a bucket, with its tenant's own key, and no other's.
func TestObjectStorage_HasPackages(t *testing.T) {
	storage := objectstest.Start(t)
	storage.Put("packages", "", nil)
	code := writeFiles(t, map[string]string{"main.py": answering("packaged")})
	source, err := openSource(code, "")
	if err != nil {
		t.Fatal(err)
	}
	archive, _, err := source.pack(8)
	if err != nil {
		t.Fatal(err)
	}
	storage.Put("packages", "fun.zip", archive)
	storage.Put("packages", "none.zip", []byte("no archive"))
	keys := filepath.Join(t.TempDir(), "secrets.key")
	if err := os.WriteFile(keys, []byte(strings.Repeat("6b", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	admin := strings.TrimSpace(must(t, "key", "create", "--data", data))
	other := strings.TrimSpace(must(t, "key", "create", "--data", data, "--tenant", "other", "--role", "deployer"))
	s := startFor(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--timeout", "60s", "--secrets-key-file", keys, "--object-storage", storage.URL)
	t.Setenv("VIVARIUM_SERVER", s.url)
	for _, key := range []string{admin, other} {
		t.Setenv("VIVARIUM_API_KEY", key)
		must(t, "deploy", "fun", writeFiles(t, map[string]string{"main.py": answering("before")}))
	}
	t.Setenv("VIVARIUM_API_KEY", admin)
	sum := fmt.Sprintf("%x", sha256.Sum256(archive))
	right := api.Package{BucketName: "packages", ObjectName: "fun.zip", SHA256: sum}
	if status, text := packaged(t, s.url, admin, "fun", right); status != http.StatusBadRequest || !strings.Contains(text, "secret object-storage") {
		t.Errorf("without a key: %d %s", status, text)
	}
	for entry, value := range map[string]string{"access-key-id": objectstest.Key.ID, "secret-access-key": objectstest.Key.Secret + "\n"} {
		if code, stdout, stderr := execute(value, "secret", "set", "object-storage", entry); code != ExitOK {
			t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
		}
	}
	if status, text := packaged(t, s.url, admin, "fun", right); status != http.StatusOK {
		t.Errorf("got %d %s", status, text)
	}
	if got := must(t, "invoke", "fun", "-d", "{}"); !strings.Contains(got, "packaged") {
		t.Errorf("the function answers %s", got)
	}
	for _, c := range []struct {
		key  string
		p    api.Package
		want string
	}{
		{other, right, "secret object-storage"}, // its key is not there for others
		{admin, api.Package{BucketName: "packages", ObjectName: "fun.zip", SHA256: strings.Repeat("0", 64)}, "is not the object's, which is " + sum},
		{admin, api.Package{BucketName: "packages", ObjectName: "fun.zip", SHA256: "abc"}, "64 digits"},
		{admin, api.Package{BucketName: "packages", ObjectName: "gone.zip"}, "no such object"},
		{admin, api.Package{BucketName: "packages", ObjectName: "none.zip"}, "archive"},
		{admin, api.Package{}, "package.bucketName"},
	} {
		if status, text := packaged(t, s.url, c.key, "fun", c.p); status != http.StatusBadRequest || !strings.Contains(text, c.want) {
			t.Errorf("%+v: %d %s, want %s", c.p, status, text, c.want)
		}
	}
	if status, text := packaged(t, shared.url, "", "fun", right); status != http.StatusBadRequest || !strings.Contains(text, "--object-storage") {
		t.Errorf("without a storage: %d %s", status, text)
	}
}

func TestObjectStorage_WantsAnEndpoint(t *testing.T) {
	code, _, stderr := execute("", "serve", "--listen", "127.0.0.1:0", "--functions", "../../examples", "--object-storage", "storage.example.org")
	if code != ExitFailure || !strings.Contains(stderr, "--object-storage: \"storage.example.org\" is no endpoint") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
