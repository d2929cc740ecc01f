package console_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vivarium/host"
	"vivarium/host/egress"
	"vivarium/host/run"
	"vivarium/host/secrets"
	"vivarium/host/store"
	"vivarium/wasm"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"
)

// shared is what all tests share: one browser, and one server like the
// program's own. TestMain creates both.
var shared struct {
	browser context.Context
	engines *run.Engines
	handler http.Handler // the server's
	url     string       // http://127.0.0.1:PORT
	docs    string       // a page elsewhere, http://docs.localhost:PORT
}

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	server, stop, err := startServer(dir)
	if err != nil {
		return fail(err)
	}
	defer stop()
	shared.url = server.URL
	browser, quit, err := startBrowser()
	if err != nil {
		return fail(err)
	}
	defer quit()
	shared.browser = browser
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

// quiet drops a server's messages to its operator.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// startServer starts a server with a store, the management API, the playground
// and the console.
func startServer(dir string) (*httptest.Server, func(), error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, nil, err
	}
	engines, err := run.NewEngines(context.Background(), "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "test")})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (the guest is built by: go tool task guest)", err)
	}
	shared.engines = engines
	kept, err := store.Open(context.Background(), store.Config{Dir: filepath.Join(dir, "store"), Log: quiet})
	if err != nil {
		return nil, nil, err
	}
	reach, err := egress.ParsePolicy("localhost")
	if err != nil {
		return nil, nil, err
	}
	keys, err := secrets.ParseKeys(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		return nil, nil, err
	}
	h, err := host.New(host.Config{
		Engines: engines, Store: kept, SecretKeys: keys, ImageDir: filepath.Join(dir, "images"), NetCeiling: reach, TryCeiling: reach, Log: quiet,
	})
	if err != nil {
		return nil, nil, err
	}
	docs := httptest.NewServer(http.HandlerFunc(serveDocs))
	shared.docs = strings.Replace(docs.URL, "127.0.0.1", "docs.localhost", 1) // this machine for any browser
	// The tests are one client, and in a hurry.
	play, err := web.NewPlay(web.PlayConfig{Rate: 1000, Burst: 1000, AtOnce: 16, Origins: []string{shared.docs}, AllowNet: "localhost"}, h.Runner())
	if err != nil {
		return nil, nil, err
	}
	management := api.New(api.Config{Host: h, Logger: quiet})
	shared.handler = web.New(web.Config{Management: management, Play: play, Console: console.Handler(), Logger: quiet}, h)
	server := httptest.NewServer(shared.handler)
	return server, func() {
		management.EndStreams()
		server.Close()
		docs.Close()
		h.Close()
		_ = engines.Close(context.Background())
		kept.Close()
	}, nil
}

// errNoBrowser tells what to do without a browser.
var errNoBrowser = errors.New("these tests need Chromium; install it: sudo apt-get install chromium (bash .ci/browser does)")

// startBrowser starts Chromium.
func startBrowser() (context.Context, func(), error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, nil, errNoBrowser
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.Flag("hide-scrollbars", true), chromedp.WindowSize(1280, 800))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	allocator, quit := chromedp.NewExecAllocator(context.Background(), options...)
	browser, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		end()
		quit()
		return nil, nil, fmt.Errorf("chromium: %w", err)
	}
	return browser, func() { end(); quit() }, nil
}

// get sends a request without the browser.
func get(t *testing.T, path string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, shared.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	// Redirects are returned, and gzip is left alone.
	answer, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}
