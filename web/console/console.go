// Package console is the page of Vivarium: a playground, where visitors run code
// that is not kept, and the console, in which functions are deployed, watched
// and rolled back. All of it is static: what the page knows, it has asked the
// server's APIs for.
//
// The sources are in src, and what was built of them in dist, which is committed
// and becomes part of the program. README.md says how and why.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Path is where the page is, and Handler serves it.
const Path = "/console"

//go:embed dist
var dist embed.FS

// policy allows the page what it needs and nothing else: scripts and styles that
// are files of its own, pictures that it makes out of answers, and the server's
// APIs. No text can become script in it by mistake of ours, since the browser is
// told to refuse that (trusted types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// types are the content types of what is in dist.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// widget is the one file that pages of other origins may use.
const widget = "widget.js"

// file is what a request for a file is answered with.
type file struct {
	contentType string
	etag        string // of the plain bytes
	plain       []byte
	packed      []byte // gzip
}

// Handler returns what serves the page, at Path and below. It is safe for
// concurrent use.
func Handler() http.Handler {
	files := sync.OnceValue(read)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, files()) })
}

// read returns the files by their names.
func read() map[string]*file {
	files := map[string]*file{}
	entries, err := fs.ReadDir(dist, "dist")
	if err != nil { // it is in the program
		panic(err)
	}
	for _, e := range entries {
		plain, err := dist.ReadFile("dist/" + e.Name())
		if err != nil {
			panic(err)
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
		_, _ = z.Write(plain)
		_ = z.Close()
		sum := sha256.Sum256(plain)
		files[e.Name()] = &file{
			contentType: types[path.Ext(e.Name())], etag: base64.RawURLEncoding.EncodeToString(sum[:12]),
			plain: plain, packed: packed.Bytes(),
		}
	}
	return files
}

// serve answers one request.
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
		http.Error(w, "There is no such file; the page is at "+Path+"/", http.StatusNotFound)
		return
	}
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
	// Ask each time: the names stay when the program is a newer one. Where
	// nothing changed, the answer has no body.
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

// acceptsGzip says if the caller takes gzip. Whoever gives it a low quality may
// get the plain file, which is never wrong.
func acceptsGzip(r *http.Request) bool {
	offer := strings.ReplaceAll(r.Header.Get("Accept-Encoding"), " ", "")
	return strings.Contains(offer, "gzip") && !strings.Contains(offer, "gzip;q=0")
}
