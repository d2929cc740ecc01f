// Package webtest starts servers for the tests of what is served: real hosts behind real
// listeners, on loopback, that end with their test.
package webtest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/host/run"
	"vivarium/wasm"
	"vivarium/web"
)

// engines are shared by all tests of a program, and live as long as it.
var engines = sync.OnceValues(func() (*run.Engines, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	return run.NewEngines(context.Background(), "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "test"), Shells: 2})
})

// Host starts a host with the guest's engines. Without a store in config, it keeps
// everything in memory.
func Host(t testing.TB, config host.Config) *host.Host {
	t.Helper()
	e, err := engines()
	if err != nil {
		t.Fatalf("%v (the guest is built by: go tool task guest)", err)
	}
	config.Engines = e
	h, err := host.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// Serve starts a server on a loopback address, and returns its port. The server shuts down
// when stop is called, at the latest when the test ends.
func Serve(t testing.TB, config web.Config, h *host.Host) (port int, stop context.CancelFunc) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := web.New(config, h)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().(*net.TCPAddr).Port, stop
}

// Key makes a key and returns its secret.
func Key(t testing.TB, h *host.Host, tenant string, role access.Role) string {
	t.Helper()
	_, secret, err := h.Keys().Create(t.Context(), access.Operator, keys.Spec{Tenant: tenant, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
