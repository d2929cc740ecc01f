// Package console is Vivarium's page: a playground, where visitors run code
// that is not kept, and the console, in which functions are deployed, watched
// and rolled back. All of it is static: what the page knows comes from the
// server's APIs.
//
// The sources are in src, and what was built from them in dist, which is
// committed and embedded in the program. README.md explains how and why.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Path is the path of the page, which Handler serves.
const Path = "/console"

//go:embed dist
var dist embed.FS

// policy allows the page what it needs and nothing else: its own script and
// style files, pictures that it makes from responses, and the server's APIs.
// Trusted types make the browser refuse to run text as script, should we ever
// insert some by mistake.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// preview is the page that shows HTML of strangers in a frame, which inherits its
// policy: styles, pictures that are in the page itself, and nothing else. Its one
// script is named by its hash, since in the sandbox the page has no origin.
const (
	preview       = "preview.html"
	previewPolicy = "sandbox allow-scripts; default-src 'none'; script-src 'sha256-%s'; style-src 'unsafe-inline'; " +
		"img-src data:; font-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)

// types are the content types of the files in dist.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// widget is the one file that pages of other origins may use.
const widget = "widget.js"

// file is the response for one file.
type file struct {
	contentType string
	policy      string
	etag        string // of the uncompressed bytes
	plain       []byte
	packed      []byte // gzip
}

// Handler returns the handler of the page, at Path and below. It is safe for
// concurrent use.
func Handler() http.Handler {
	files := sync.OnceValue(read)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, files()) })
}

// read returns the files by name.
func read() map[string]*file {
	files := map[string]*file{}
	entries, err := fs.ReadDir(dist, "dist")
	if err != nil { // it is embedded
		panic(err)
	}
	for _, e := range entries {
		plain, err := dist.ReadFile("dist/" + e.Name())
		if err != nil {
			panic(err)
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is valid
		_, _ = z.Write(plain)
		_ = z.Close()
		sum := sha256.Sum256(plain)
		files[e.Name()] = &file{
			contentType: types[path.Ext(e.Name())], policy: policyOf(e.Name(), plain), etag: base64.RawURLEncoding.EncodeToString(sum[:12]),
			plain: plain, packed: packed.Bytes(),
		}
	}
	return files
}

// policyOf returns the policy of a file.
func policyOf(name string, text []byte) string {
	if name != preview {
		return policy
	}
	_, script, _ := bytes.Cut(text, []byte("<script>"))
	script, _, _ = bytes.Cut(script, []byte("</script>"))
	sum := sha256.Sum256(script)
	return fmt.Sprintf(previewPolicy, base64.StdEncoding.EncodeToString(sum[:]))
}

// serve serves one request.
func serve(w http.ResponseWriter, r *http.Request, files map[string]*file) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "The page can only be read.", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == Path {
		http.Redirect(w, r, Path+"/", http.StatusMovedPermanently)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Path+"/")
	if name == "" {
		name = "index.html"
	}
	f := files[name]
	if f == nil {
		http.Error(w, "No such file; the page is at "+Path+"/", http.StatusNotFound)
		return
	}
	header.Set("Content-Security-Policy", f.policy)
	if name == widget {
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	body, etag := f.plain, f.etag
	if acceptsGzip(r) {
		body, etag = f.packed, f.etag+"-gzip"
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", `"`+etag+`"`)
	// Revalidate each time: file names stay the same in newer programs. If
	// nothing changed, the response has no body.
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reports whether the caller accepts gzip. One that gives it a low
// quality may get the plain file, which is never wrong.
func acceptsGzip(r *http.Request) bool {
	offer := strings.ReplaceAll(r.Header.Get("Accept-Encoding"), " ", "")
	return strings.Contains(offer, "gzip") && !strings.Contains(offer, "gzip;q=0")
}
