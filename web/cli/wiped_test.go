package cli

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsAt starts a NATS server with a folder and a port, which the caller shuts down.
func natsAt(t *testing.T, dir, port string) *server.Server {
	t.Helper()
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: number, JetStream: true, StoreDir: dir, NoSigs: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the store does not start")
	}
	return s
}

// Where there were keys, a server whose NATS servers have lost them lets nobody in, though it would
// let in anybody on this machine where there never were keys; and one that starts stops and says why.
func TestServe_WipedServersOpenNoDoor(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	kept := filepath.Join(dir, "nats")
	url := "nats://" + net.JoinHostPort("127.0.0.1", port)
	nats := natsAt(t, kept, port)
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	t.Cleanup(func() { _ = os.RemoveAll((&session{}).imageDir("", url, "")) }) // in the user's cache
	serve := func() *program { return startFor(t, "serve", "--listen", "127.0.0.1:0", "--nats", url) }
	answers := func(p *program, key string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, p.url+"/functions/v1/functions", nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "Api-Key "+key)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	p := serve()
	if status := answers(p, ""); status != http.StatusOK {
		t.Fatalf("without keys: status %d", status)
	}
	t.Setenv("VIVARIUM_SERVER", p.url)
	key := strings.TrimSpace(must(t, "key", "create"))
	if with, without := answers(p, key), answers(p, ""); with != http.StatusOK || without != http.StatusUnauthorized {
		t.Fatalf("with a key: status %d, without one %d", with, without)
	}

	nats.Shutdown()
	nats.WaitForShutdown()
	if err := os.RemoveAll(kept); err != nil {
		t.Fatal(err)
	}
	nats = natsAt(t, kept, port)
	// Somebody who knew nothing of what was there makes an empty store.
	if out := must(t, "key", "list", "--nats", url); strings.Contains(out, "admin") {
		t.Fatalf("there are still keys: %s", out)
	}
	eventually(t, func() string {
		if status := answers(p, ""); status < 400 {
			t.Fatalf("the server that runs on answers without a key: status %d", status)
		}
		if status := answers(p, key); status < 400 {
			return "the key is still known"
		}
		return ""
	})
	if code := p.stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	code, _, text := execute("", "serve", "--listen", "127.0.0.1:0", "--nats", url)
	if code != ExitFailure || !strings.Contains(text, "keys are damaged") || !strings.Contains(text, "restore the store from a backup, or remove") {
		t.Errorf("a server that starts: exit code %d: %s", code, text)
	}
}
