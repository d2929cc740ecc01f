package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience only keeps a failing test from hanging.
const patience = 90 * time.Second

// tab is a browser tab that shows a page of the server. What no page may do is
// recorded, and fails the test at its end: console messages, exceptions,
// violations of the Content-Security-Policy, requests to other servers.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string // of the server

	opened int // pages

	mu    sync.Mutex // guards what follows
	wrong []string
	// allowed are parts of messages that the test expects.
	allowed []string
}

// newTab opens a tab with a profile of its own.
func newTab(t testing.TB, options ...func(*tab)) *tab {
	t.Helper()
	b := &tab{t: t, url: shared.url}
	for _, option := range options {
		option(b)
	}
	ctx, cancel := chromedp.NewContext(shared.browser, chromedp.WithNewBrowserContext())
	ctx, end := context.WithTimeout(ctx, patience)
	b.ctx = ctx
	t.Cleanup(func() {
		end()
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Error(w)
		}
	})
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	return b
}

// allowing permits messages that contain a text.
func allowing(texts ...string) func(*tab) {
	return func(b *tab) { b.allowed = append(b.allowed, texts...) }
}

// heard records what no page may do.
func (b *tab) heard(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		b.note("exception: " + string(text))
	case *runtime.EventConsoleAPICalled:
		text, _ := json.Marshal(e.Args)
		b.note("console." + string(e.Type) + ": " + string(text))
	case *log.EventEntryAdded:
		b.note("log: " + e.Entry.Text + " " + e.Entry.URL)
	case *network.EventRequestWillBeSent:
		url := e.Request.URL
		if !strings.HasPrefix(url, b.url+"/") && !strings.HasPrefix(url, "blob:"+b.url+"/") && !strings.HasPrefix(url, "data:") && url != "about:blank" {
			b.note("request to " + url)
		}
	}
}

func (b *tab) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		if strings.Contains(text, a) {
			return
		}
	}
	b.wrong = append(b.wrong, text)
}

// do runs actions.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.visible())
	}
}

// eval returns the value of an expression, awaiting promises.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression, err, b.visible())
	}
	return value
}

// wait waits until an expression is true; while it throws, it isn't.
func (b *tab) wait(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("(() => { try { return !!("+expression+"); } catch { return false; } })()",
		chromedp.WithPollingInterval(10*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		b.t.Fatalf("waiting for %s: %v\n%s", expression, err, b.visible())
	}
}

// visible returns the page's text, for failure messages.
func (b *tab) visible() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 3000)`))
	if err != nil {
		return err.Error()
	}
	return text
}

// open shows a page of the console and waits until it is loaded.
func (b *tab) open(fragment string) {
	b.t.Helper()
	b.opened++ // a change of the fragment alone would load nothing
	b.do(chromedp.Navigate(fmt.Sprintf("%s/console/?%d%s", b.url, b.opened, fragment)))
	b.wait(`document.querySelector('main h1')`)
}

// look sets the theme and the size of the window.
func (b *tab) look(theme string, width, height int64) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}), chromedp.EmulateViewport(width, height))
}

// button clicks the button or link with a text, below a selector.
func (b *tab) button(within, text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	find := `[...document.querySelectorAll(` + "`" + within + ` :is(button, a, summary)` + "`" + `)].find((e) => !e.disabled && (e.textContent.trim().startsWith(` +
		string(quoted) + `) || e.getAttribute('aria-label') === ` + string(quoted) + `))`
	b.wait(find)
	eval[bool](b, `(`+find+`.click(), true)`)
}

// fill types into a field as a visitor does: with an event for each change.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.wait(`document.querySelector("` + selector + `")`)
	quoted, _ := json.Marshal(text)
	eval[bool](b, `(() => {
		const e = document.querySelector("`+selector+`");
		e.value = `+string(quoted)+`;
		e.dispatchEvent(new Event('input', { bubbles: true }));
		e.dispatchEvent(new Event('change', { bubbles: true }));
		return true;
	})()`)
}

// paste replaces the contents of an editor.
func (b *tab) paste(editor, text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	eval[bool](b, `(() => {
		const content = document.querySelector("`+editor+`").shadowRoot.querySelector('.cm-content');
		content.focus();
		const select = new KeyboardEvent('keydown', { key: 'a', code: 'KeyA', keyCode: 65, ctrlKey: true, bubbles: true, cancelable: true });
		content.dispatchEvent(select);
		const data = new DataTransfer();
		data.setData('text/plain', `+string(quoted)+`);
		content.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
		return true;
	})()`)
}

// text returns what an element shows.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector("`+selector+`")?.innerText ?? ''`)
}

// onNewDocument runs a script before each page's own.
func (b *tab) onNewDocument(script string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

var (
	pressEscape = chromedp.KeyEvent(kb.Escape)
	pressTab    = chromedp.KeyEvent(kb.Tab)
)

// colour returns the colour of a pixel of the window, as rrggbb.
func (b *tab) colour(x, y int) string {
	b.t.Helper()
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	red, green, blue, _ := picture.At(x, y).RGBA()
	return fmt.Sprintf("%02x%02x%02x", red>>8, green>>8, blue>>8)
}

// leaveFor begins to load a page, which may go on to another at once.
func (b *tab) leaveFor(url string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: url})
		return err
	}))
}
