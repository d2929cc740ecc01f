package console_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"vivarium/web/console"
)

func TestHandler_EachFileHasItsHeaders(t *testing.T) {
	for name, kind := range map[string]string{
		"": "text/html", "index.html": "text/html", "app.js": "text/javascript", "app.css": "text/css", "logo.svg": "image/svg+xml",
		"widget.js": "text/javascript", "licenses.txt": "text/plain",
	} {
		plain := get(t, "/console/"+name, nil)
		packed := get(t, "/console/"+name, http.Header{"Accept-Encoding": {"br, gzip"}})
		for _, answer := range []*http.Response{plain, packed} {
			h := answer.Header
			if answer.StatusCode != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), kind) {
				t.Errorf("%s: %d %s", name, answer.StatusCode, h.Get("Content-Type"))
			}
			policy := h.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("%s: %q is not in the policy %q", name, want, policy)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("%s: %s", name, policy)
			}
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
				t.Errorf("%s: %v", name, h)
			}
			if got, want := h.Get("Access-Control-Allow-Origin"), map[bool]string{true: "*"}[name == "widget.js"]; got != want {
				t.Errorf("%s: for other origins: %q, want %q", name, got, want)
			}
		}
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: encodings %q, %q", name, plain.Header.Get("Content-Encoding"), packed.Header.Get("Content-Encoding"))
		}
		if plain.Header.Get("ETag") == packed.Header.Get("ETag") || !strings.HasPrefix(plain.Header.Get("ETag"), `"`) {
			t.Errorf("%s: tags %q and %q", name, plain.Header.Get("ETag"), packed.Header.Get("ETag"))
		}
		unpacked, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := io.ReadAll(plain.Body)
		if got, err := io.ReadAll(unpacked); err != nil || string(got) != string(want) {
			t.Errorf("%s: packed and plain differ: %v", name, err)
		}
		again := get(t, "/console/"+name, http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {packed.Header.Get("ETag")}})
		if body, _ := io.ReadAll(again.Body); again.StatusCode != http.StatusNotModified || len(body) > 0 {
			t.Errorf("%s: asked again: %d, %d bytes", name, again.StatusCode, len(body))
		}
	}
}

func TestHandler_ThePageIsSmall(t *testing.T) {
	total := 0
	for _, name := range []string{"", "app.js", "app.css", "theme.js", "preview.html", "logo.svg"} {
		body, err := io.ReadAll(get(t, "/console/"+name, http.Header{"Accept-Encoding": {"gzip"}}).Body)
		if err != nil {
			t.Fatal(err)
		}
		total += len(body)
	}
	t.Logf("the whole page has %d bytes, compressed", total)
	if total > 500_000 {
		t.Errorf("the whole page has %d bytes, compressed; at most 500,000 are wanted", total)
	}
}

func TestHandler_OtherRequests(t *testing.T) {
	for path, want := range map[string]int{
		"/console/no.js": http.StatusNotFound, "/console/..%2fconsole.go": http.StatusNotFound, "/console/dist/app.js": http.StatusNotFound,
		"/console": http.StatusMovedPermanently,
	} {
		if got := get(t, path, nil); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
	root := get(t, "/", http.Header{"Accept": {"text/html"}})
	if root.StatusCode != http.StatusFound || root.Header.Get("Location") != console.Path+"/" {
		t.Errorf("a browser at / is sent to %q with %d", root.Header.Get("Location"), root.StatusCode)
	}
	answer, err := http.Post(shared.url+"/console/", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", answer.StatusCode)
	}
}

// The page shows something before any script has run.
func TestPage_ShowsSomethingWithoutScripts(t *testing.T) {
	body, err := io.ReadAll(get(t, "/console/", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<noscript>", "Vivarium", `<html lang="en">`, `name="viewport"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if strings.Contains(string(body), "<script>") || strings.Contains(string(body), "style=") {
		t.Error("something in the page is inline")
	}
}
