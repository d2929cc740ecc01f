// Package objectstest starts a real object storage for tests: versitygw, which .ci/servers
// installs.
package objectstest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"vivarium/web/objects"
)

// Key may do everything.
var Key = objects.Key{ID: "access", Secret: "secret"}

// Storage is a storage that ends with its test.
type Storage struct {
	t   testing.TB
	URL string
}

// Start starts a storage with no buckets.
func Start(t testing.TB) *Storage {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // finds a free port
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	attributes, data := t.TempDir(), t.TempDir()
	var output bytes.Buffer
	server := exec.CommandContext(t.Context(), filepath.Join(cache, "vivarium/servers/versitygw"), "--access", Key.ID, "--secret", Key.Secret,
		"--port", address, "--quiet", "--region", objects.Region, "posix", "--sidecar", attributes, data)
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatalf("%v; bash .ci/servers installs it", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill() // it may have ended
		<-ended
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return &Storage{t, "http://" + address}
		}
	}
	t.Fatalf("the storage does not start: %s", output.String())
	return nil
}

// Put makes a bucket or, with a name, an object in it.
func (s *Storage) Put(bucket, name string, data []byte) {
	s.t.Helper()
	path := objects.Object{Bucket: bucket, Name: name}.Path()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.URL+path, bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := Key.Sign(request, data); err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d", path, answer.StatusCode)
	}
}
