package console_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// trap is a server that pages try to reach: the console's own, which is also at
// elsewhere.localhost.
type trap struct {
	url, elsewhere string

	mu      sync.Mutex // guards what follows
	reached map[string]bool
	pages   map[string]string // at /page/NAME, without any protection
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	p := &trap{reached: map[string]bool{}, pages: map[string]string{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url, p.elsewhere = server.URL, strings.Replace(server.URL, "127.0.0.1", "elsewhere.localhost", 1)
	return p
}

func (p *trap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/reached/"); ok {
		name, _, _ = strings.Cut(name, "/")
		p.mu.Lock()
		p.reached[name] = true
		p.mu.Unlock()
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/page/"); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, p.pages[name])
		return
	}
	shared.handler.ServeHTTP(w, r)
}

// page serves HTML without any protection and returns its address.
func (p *trap) page(name, html string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[name] = html
	return p.url + "/page/" + name
}

// has reports whether a name was reached.
func (p *trap) has(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached[name]
}

// wait waits until all of the names, with a prefix, were reached.
func (p *trap) wait(b *tab, prefix string, names ...string) {
	b.t.Helper()
	missing := func() []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return p.has(prefix + name) })
	}
	for len(missing()) > 0 {
		select {
		case <-b.ctx.Done():
			b.t.Fatalf("%s: nothing reaches %v", prefix, missing())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// preview runs code that answers with a page, and shows its preview.
func (b *tab) preview(html string) {
	b.t.Helper()
	b.open(link(b.t, fmt.Sprintf("PAGE = %q\n\ndef handler(event, context):\n    return {'headers': {'Content-Type': 'text/html'}, 'body': PAGE}\n", html)))
	b.run()
	b.button(".body", "Preview")
	b.wait(`document.querySelector('iframe.preview[aria-busy=false]')`)
}

// A page that an answer brings may look as it likes and do nothing. Each attack is
// made twice: in a page of its own, where it has to succeed, and in the preview.
func TestPreview_NothingRunsLeavesOrNavigates(t *testing.T) {
	// T is the trap's address.
	loading := map[string]string{
		"script":     `<script>fetch('T/script')</script>`,
		"onerror":    `<img src="data:," onerror="new Image().src = 'T/onerror'">`,
		"svg":        `<svg onload="new Image().src = 'T/svg'"></svg>`,
		"svg-script": `<svg><script>new Image().src = 'T/svg-script'</script></svg>`,
		"svg-image":  `<svg><image href="T/svg-image" width="9" height="9"/></svg>`,
		"img":        `<img src="T/img">`,
		"srcset":     `<img srcset="T/srcset 1x">`,
		"import":     `<style>@import 'T/import';</style>`,
		"background": `<p style="background: url('T/background')">p</p>`,
		"font":       `<style>@font-face { font-family: f; src: url('T/font') } i { font-family: f }</style><i>i</i>`,
		"cursor":     `<style>b { list-style: url('T/cursor'); display: list-item }</style><b>b</b>`,
		"stylesheet": `<link rel="stylesheet" href="T/stylesheet">`,
		"preload":    `<link rel="preload" as="image" href="T/preload">`,
		"icon-frame": `<iframe srcdoc="<img src='T/icon-frame'>"></iframe>`,
		"frame":      `<iframe src="T/frame"></iframe>`,
		"object":     `<object data="T/object"></object>`,
		"embed":      `<embed src="T/embed">`,
		"poster":     `<video poster="T/poster"></video>`,
		"shadow":     `<div><template shadowrootmode="open"><img src="T/shadow"></template></div>`,
		"shadow-css": `<div><template shadowrootmode="open"><link rel="stylesheet" href="T/shadow-css"></template></div>`,
		"input":      `<input type="image" src="T/input">`,
		"javascript": `<iframe src="javascript:void fetch('T/javascript')"></iframe>`,
	}
	alone := map[string]string{
		"refresh": `<meta http-equiv="refresh" content="0; url=T/refresh">`,
		"base":    `<base href="T/base/"><img src="x">`,
	}
	const big = ` style="position: fixed; inset: 0; width: 100%; height: 100%; display: block; background: silver"`
	clicked := map[string]string{
		"link":      `<a` + big + ` href="T/link">link</a>`,
		"top":       `<a` + big + ` href="T/top" target="_top">link</a>`,
		"parent":    `<a` + big + ` href="T/parent" target="_parent">link</a>`,
		"blank":     `<a` + big + ` href="T/blank" target="_blank">link</a>`,
		"ping":      `<a` + big + ` href="#x" ping="T/ping">link</a>`,
		"js-link":   `<a` + big + ` href="javascript:location = 'T/js-link'">link</a>`,
		"svg-link":  `<svg` + big + `><a href="T/svg-link"><rect width="4000" height="4000"/></a></svg>`,
		"form":      `<form action="T/form"><button` + big + `>send</button></form>`,
		"form-top":  `<form action="T/form-top" target="_top" method="post"><button` + big + `>send</button></form>`,
		"form-link": `<form id="f"></form><button form="f" formaction="T/form-link"` + big + `>send</button>`,
	}
	p := newTrap(t)
	all := strings.Join(slices.Sorted(maps.Values(loading)), "\n")
	// One tab does the same as the other, without and with the preview.
	for _, place := range []struct{ name, at string }{{"own", p.url}, {"other", p.elsewhere}} {
		aim := func(how, html string) string {
			return strings.ReplaceAll(html, "T/", place.at+"/reached/"+how+"-"+place.name+"-")
		}
		t.Run(place.name, func(t *testing.T) {
			opened := func(t *testing.T, html string) *tab {
				t.Helper()
				b := newTab(t, allowing("Content Security Policy", "Refused to", "Blocked", "blocked", "sandboxed", "Unsafe attempt"))
				b.url = p.url
				b.preview(aim("preview", html))
				return b
			}
			t.Run("loading", func(t *testing.T) { opened(t, `<p>before</p>`+all) })
			for name, html := range alone {
				t.Run(name, func(t *testing.T) { opened(t, html) })
			}
			for name, html := range clicked {
				t.Run(name, func(t *testing.T) {
					b := opened(t, html)
					at := eval[[]float64](b, `(() => { const f = document.querySelector('iframe.preview'); f.scrollIntoView(); const r = f.getBoundingClientRect(); return [r.x + 40, r.y + 40]; })()`)
					for b.ctx.Err() == nil && !eval[bool](b, `document.activeElement === document.querySelector('iframe.preview')`) {
						b.do(chromedp.MouseClickXY(at[0], at[1])) // one into what is not painted yet is lost
					}
					if got := eval[string](b, `location.pathname + location.hash.slice(0, 6)`); got != "/console/#/play" {
						t.Errorf("the page is now %s", got)
					}
				})
			}

			// Whatever the preview has sent is there once the same has come from a page without one.
			c := newTab(t, allowing(""))
			plain := func(html string, names ...string) {
				t.Helper()
				c.leaveFor(p.page(place.name+names[0], aim("plain", html)))
				p.wait(c, "plain-"+place.name+"-", names...)
			}
			plain(all, slices.Collect(maps.Keys(loading))...)
			for name, html := range alone {
				plain(html, name)
			}
			for name, html := range clicked {
				plain(html+`<script>onload = () => document.querySelector('a, button').dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))</script>`, name)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			for name := range p.reached {
				if strings.HasPrefix(name, "preview-") {
					t.Errorf("the preview has reached %s", name)
				}
			}
		})
	}
}

// A connection is made before there is anything to send, and no policy forbids
// that. (This browser makes none: it is told to leave the network alone.)
func TestPreview_KeepsNothingThatAsksAhead(t *testing.T) {
	b := newTab(t)
	b.do(chromedp.Navigate(b.url + "/console/preview.html"))
	const ahead = "<link rel=preconnect href=//example.org>"
	for _, html := range []string{
		ahead, "<p>kept" + ahead, "<!doctype html><html><head>" + ahead + "</head><body>kept",
		"<div>kept<template shadowrootmode=open>" + ahead + "</template></div>",
		// What is left of these once the outer one is gone reads differently.
		"kept<noscript><style></noscript>" + ahead + "</style></noscript>",
		"kept<form><math><mtext></form><form><mglyph><style></math>" + ahead + "</style></form>",
		"kept<svg></p><style><title title='</style>" + ahead + "'>",
		"kept<math><mtext><table><mglyph><style><!--</style><img title='--></mglyph>" + ahead + "'>",
	} {
		quoted, _ := json.Marshal(html)
		left := eval[string](b, `(() => {
			const html = inert(`+string(quoted)+`);
			return (new DOMParser().parseFromString(html, 'text/html').querySelector('link, template, meta')?.outerHTML ?? '') + (`+
			string(quoted)+`.includes('kept') && !html.includes('kept') ? 'nothing' : '');
		})()`)
		if left != "" {
			t.Errorf("of %s there is left: %s", html, left)
		}
	}
}

func TestPreview_LooksLikeThePage(t *testing.T) {
	b := newTab(t)
	for _, width := range []int64{1280, 390} {
		b.look("light", width, 900)
		// A style of its own, and a picture that is in it.
		b.preview(`<!doctype html><style>body { margin: 0; background: rgb(1, 2, 3) } img { position: fixed; top: 0; left: 0; width: 100%; height: 100px }</style>` +
			`<img src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'%3E%3Crect width='999' height='999' fill='%23ff0000'/%3E%3C/svg%3E">`)
		at := eval[[]int](b, `(() => { const f = document.querySelector('iframe.preview'); f.scrollIntoView({ block: 'center' }); const r = f.getBoundingClientRect(); return [r.x + r.width / 2, r.y, r.bottom, r.right, document.documentElement.scrollWidth].map(Math.round); })()`)
		for !(b.colour(at[0], at[1]+40) == "ff0000" && b.colour(at[0], at[2]-40) == "010203") {
			b.wait(`document.querySelector('iframe.preview')`)
		}
		if at[3] > int(width) || at[4] > int(width) {
			t.Errorf("at %d px it goes to %d, the page to %d", width, at[3], at[4])
		}
	}
	b.button(".body", "As sent")
	b.wait(`!document.querySelector('iframe') && document.querySelector('.body pre').textContent.startsWith('<!doctype html>')`)
}

// The frame's page is no use to others: it shows nothing unless it is in the console.
func TestPreview_ServesTheConsoleAlone(t *testing.T) {
	header := get(t, "/console/preview.html", nil).Header.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox allow-scripts;", "default-src 'none'", "img-src data:;", "frame-ancestors 'self'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(header, want) {
			t.Errorf("%q is not in the policy %q", want, header)
		}
	}
	b := newTab(t)
	b.do(chromedp.Navigate(b.url + "/console/preview.html"))
	eval[bool](b, `(postMessage('<p>anything</p>', '*'), new Promise((heard) => { addEventListener('message', () => heard(true)); postMessage('', '*'); }))`)
	if got := eval[string](b, `document.querySelector('iframe').srcdoc`); got != "" {
		t.Errorf("it shows %s", got)
	}
}
