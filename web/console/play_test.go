package console_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"vivarium/web"
	"vivarium/web/console"
)

// answer is the playground's output, as a visitor sees it.
const answer = ".result .panel-body"

// choose picks an example from the menu.
func (b *tab) choose(example string) {
	b.t.Helper()
	b.fill(".toolbar select", example)
}

// run presses Run and waits for the end.
func (b *tab) run() {
	b.t.Helper()
	b.button(".toolbar", "Run")
	b.wait(`document.querySelector('.result').getAttribute('aria-busy') === 'false' && document.querySelector('.result .answer, .result .notice')`)
}

// log returns the whole log on the page.
func (b *tab) log() string {
	b.t.Helper()
	return eval[string](b, `document.querySelector('.output .log').textContent`)
}

// code replaces the code.
func (b *tab) code(code string) {
	b.t.Helper()
	b.paste(".code .editor", code)
}

// link returns a link to a draft that is just code.
func link(t testing.TB, code string) string {
	t.Helper()
	draft, err := json.Marshal(map[string]any{"code": code, "timeoutMS": 10_000})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(draft); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return "#/play?s=" + base64.RawURLEncoding.EncodeToString(packed.Bytes())
}

const markedLine = `document.querySelector('.code .editor').shadowRoot.querySelector('.cm-markedLine')?.textContent ?? ''`

func TestPlay_EachExampleShowsWhatItIsFor(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	for _, example := range []struct{ id, answer, log, marked string }{
		{"hello", "200 OK\n", "greeting Ann", ""},
		{"script", "200 OK\n", "5 squared is 25", ""},
		{"async", "task 3, task 1, task 2: all in", "task 1 is done", ""},
		{"http", "418 I’m a teapot\n", "printed nothing", ""},
		{"raw", `"handled": 1`, "got yandex.cloud.events.messagequeue.QueueMessage", ""},
		{"error", "KeyError: 'plum'", "adding up", "    return sum(prices[item] * n for item, n in order.items())"},
		{"timeout", "ExecutionTimeout", "I have", ""},
		{"memory", "MB, and no more", "MB of 128", ""},
	} {
		t.Run(example.id, func(t *testing.T) {
			b.t = t
			b.choose(example.id)
			b.run()
			if got := b.text(answer); !strings.Contains(got, example.answer) {
				t.Errorf("%q is not in the answer:\n%s", example.answer, got)
			}
			if got := b.log(); !strings.Contains(got, example.log) {
				t.Errorf("%q is not in the log:\n%s", example.log, got)
			}
			if got := eval[string](b, markedLine); got != example.marked {
				t.Errorf("the marked line is %q, want %q", got, example.marked)
			}
			if got := b.text(".figures"); !strings.Contains(got, "handler") || !strings.Contains(got, "of 128 MB") {
				t.Errorf("figures: %s", got)
			}
		})
	}
	b.t = t
}

func TestPlay_AnImageIsShownAsOne(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.choose("image")
	b.run()
	b.wait(`document.querySelector('.picture img')?.naturalWidth === 160`)
}

func TestPlay_MultipleHeadersAreAllThere(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.choose("http")
	b.run()
	b.button(".result", "5 header") // opens them
	if got := b.text(".headers dl"); !strings.Contains(got, "tea=green") || !strings.Contains(got, "cup=small") || !strings.Contains(got, "no-store") {
		t.Errorf("headers: %s", got)
	}
	// HTML is displayed as text, not as part of the page.
	if got := b.text(".body"); !strings.Contains(got, "<h1>I am a teapot</h1>") {
		t.Errorf("body: %s", got)
	}
}

func TestPlay_CtrlEnterRunsAndAnEditTakesTheMarkAway(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.code("def handler(event, context):\n    return {'body': str(1 / 0)}\n")
	eval[bool](b, `document.querySelector('.code .editor').shadowRoot.querySelector('.cm-content').dispatchEvent(
		new KeyboardEvent('keydown', { key: 'Enter', keyCode: 13, ctrlKey: true, bubbles: true, cancelable: true, composed: true })) || true`)
	b.wait(`document.querySelector('.trace')`)
	if got := eval[string](b, markedLine); !strings.Contains(got, "1 / 0") {
		t.Errorf("marked: %q", got)
	}
	b.code("def handler(event, context):\n    return {'body': 'mended'}\n")
	if got := eval[string](b, markedLine); got != "" {
		t.Errorf("still marked: %q", got)
	}
	b.run()
	if got := b.text(answer); !strings.Contains(got, "mended") {
		t.Errorf("answer: %s", got)
	}
}

func TestPlay_TheLogIsShownWhileTheCodeRunsAndStopEndsIt(t *testing.T) {
	b := newTab(t)
	b.open(link(t, "def handler(event, context):\n    print('begun')\n    while True:\n        pass\n"))
	b.button(".toolbar", "Run")
	b.wait(`document.querySelector('.output .log').textContent.includes('begun')`)
	if busy := eval[string](b, `document.querySelector('.result').getAttribute('aria-busy')`); busy != "true" {
		t.Fatalf("it is over already: %s", b.visible())
	}
	// The page stays responsive: it can be typed into.
	b.fill(".request-line input", "page=alive")
	b.button(".toolbar", "Stop")
	b.wait(`document.querySelector('` + answer + `').innerText.includes('Stopped')`)
	b.choose("hello")
	b.run()
	if got := b.text(answer); !strings.Contains(got, "200 OK") {
		t.Errorf("after a stop: %s", got)
	}
}

func TestPlay_SettingsReachTheCode(t *testing.T) {
	b := newTab(t)
	b.open(link(t, `def handler(event, context):
    return {'body': f"{context.memory_limit_in_mb} {event['httpMethod']} {event['headers']['X-One']} {event['queryStringParameters']['q']} {event['body']}"}
`))
	b.fill(".toolbar label:nth-of-type(2) select", "256")
	b.fill(".request-line select", "PUT")
	b.fill(".request-line input", "q=a%20b")
	b.button(".request", "Header")
	b.fill("[aria-label='Name of header 1']", "X-One")
	b.fill("[aria-label='Value of header 1']", "1")
	b.button(".request", "Header")
	b.fill("[aria-label='Name of header 2']", "Content-Type")
	b.fill("[aria-label='Value of header 2']", "application/json")
	b.paste(".request .editor", `{"n": 1}`)
	b.run()
	if got := b.text(answer); !strings.Contains(got, `256 PUT 1 a b {"n": 1}`) {
		t.Errorf("answer: %s", got)
	}
}

func TestPlay_SamplesAreThoseOfTheCommandLine(t *testing.T) {
	b := newTab(t)
	b.open(link(t, "def handler(event, context):\n    return event['messages'][0]['details']['bucket_id']\n"))
	b.button(".event", "Raw")
	b.fill(".event select", "object-storage")
	b.run()
	if got := b.text(answer); !strings.Contains(got, `"photos"`) {
		t.Errorf("answer: %s", got)
	}
	b.paste(".event .editor", "{not json")
	b.run()
	if got := b.text(answer); !strings.Contains(got, "The event is not JSON") {
		t.Errorf("answer: %s", got)
	}
}

func TestPlay_AnAnswerThatNoRunBringsIsExplained(t *testing.T) {
	b := newTab(t, allowing("status of 400", "status of 503"))
	b.open("#/play")
	b.code("x = '" + strings.Repeat("long", 70_000) + "'")
	b.run()
	if got := b.text(answer); !strings.Contains(got, "at most 262144 are allowed") {
		t.Errorf("answer: %s", got)
	}
}

func TestPlay_ALinkBringsTheCodeAndABadOneSaysSo(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.code("print('from a link')\n")
	b.button(".toolbar", "Share")
	b.wait(`location.hash.startsWith('#/play?s=')`)
	shared := eval[string](b, `location.hash`)
	other := newTab(t)
	other.open(shared)
	if got := other.text("#main"); !strings.Contains(got, "came with a link") {
		t.Errorf("page: %s", got)
	}
	other.run()
	if got := other.log(); !strings.Contains(got, "from a link") {
		t.Errorf("log: %s", got)
	}
	bad := newTab(t)
	// A bomb: more than a megabyte out of a few bytes.
	for _, hash := range []string{"#/play?s=AAAA", "#/play?s=%%%", link(t, strings.Repeat("A", 2<<20))} {
		bad.open(hash)
		bad.wait(`document.querySelector('.notice.bad')?.innerText.includes('not whole')`)
	}
}

func TestPlay_TwoTabsAtOnceDoNotMix(t *testing.T) {
	one, two := newTab(t), newTab(t)
	one.open(link(t, "import time\nprint('one')\ntime.sleep(0.3)\nprint('one ends')\n"))
	two.open(link(t, "import time\nprint('two')\ntime.sleep(0.3)\nprint('two ends')\n"))
	one.button(".toolbar", "Run")
	two.button(".toolbar", "Run")
	for b, want := range map[*tab][2]string{one: {"one ends", "two"}, two: {"two ends", "one"}} {
		b.wait(`document.querySelector('.figures')`)
		if got := b.log(); !strings.Contains(got, want[0]) || strings.Contains(got, want[1]) {
			t.Errorf("log: %s", got)
		}
	}
}

func TestPlay_HostileOutputIsText(t *testing.T) {
	b := newTab(t)
	b.onNewDocument(`window.pwned = 0;`)
	b.open(link(t, `evil = '<img src=x onerror="pwned=1"><script>pwned=1</script><b id=evil>bold</b>'

def handler(event, context):
    print(evil)
    print('\x1b[31mred\x1b[0m \u202egnp.exe \u200bwide \x00 nul')
    print('x' * 50_000)
    raise ValueError(evil)
`))
	b.run()
	if n := eval[int](b, `pwned + document.querySelectorAll('#evil, main script, main img:not([src="logo.svg"])').length`); n != 0 {
		t.Errorf("a script ran, or an element was made: %s", eval[string](b, `document.querySelector('main').innerHTML.slice(0, 2000)`))
	}
	log := b.log()
	for _, want := range []string{"<script>pwned=1</script>", "␛[31mred", "‹U+202E›gnp.exe", "‹U+200B›wide", "more characters"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log: %.3000s", want, log)
		}
	}
	if got := b.text(answer); !strings.Contains(got, "ValueError: <img src=x") {
		t.Errorf("answer: %s", got)
	}

	// The same as a response, with each type that a browser would interpret.
	for _, kind := range []string{"text/html", "image/svg+xml", "application/xhtml+xml", "text/plain", "application/json"} {
		b.open(link(t, `def handler(event, context):
    return {'headers': {'Content-Type': '`+kind+`', 'X-Evil': '<b id=evil>'}, 'body': '<svg xmlns="http://www.w3.org/2000/svg" onload="pwned=1"><script>pwned=1</script></svg>'}
`))
		b.wait(`document.querySelector('.notice')`)
		b.run()
		if n := eval[int](b, `pwned + document.querySelectorAll('#evil, main script').length`); n != 0 {
			t.Errorf("%s: a script ran, or an element was made", kind)
		}
	}
}

func TestPlay_FloodsLeaveThePageAlive(t *testing.T) {
	b := newTab(t)
	b.open(link(t, `def handler(event, context):
    for n in range(20_000):
        print('line', n)
    return {'headers': {'Content-Type': 'text/plain'}, 'body': 'y' * 3_000_000}
`))
	b.run()
	log := eval[string](b, `document.querySelector('.output .log').textContent.slice(0, 200)`)
	if !strings.Contains(log, "earlier lines are not shown") {
		t.Errorf("log: %s", log)
	}
	if left := eval[float64](b, `(() => { const l = document.querySelector('.output .log'); return l.scrollHeight - l.scrollTop - l.clientHeight; })()`); left > 2 {
		t.Errorf("the end of the log is %v pixels out of view", left)
	}
	if n := eval[int](b, `document.querySelectorAll('.log-line').length`); n > 1000 {
		t.Errorf("%d lines are in the page", n)
	}
	if got := b.text(answer); !strings.Contains(got, "more characters") || !strings.Contains(got, "The response was longer") {
		t.Errorf("answer: %s", got[len(got)-300:])
	}
	if got := b.text(".output header"); !strings.Contains(got, "cut off") {
		t.Errorf("the log was cut off, and the page doesn't say so: %s", got)
	}
	// Bytes that are not text.
	b.choose("hello")
	b.code(`import base64
def handler(event, context):
    return {'isBase64Encoded': True, 'body': base64.b64encode(bytes(range(256)) * 40).decode()}
`)
	b.run()
	if got := b.text(".body"); !strings.Contains(got, "000010  10 11 12") || !strings.Contains(got, "of 10,240 bytes") {
		t.Errorf("body: %.400s", got)
	}
}

// The figures are printed but not judged: they depend on this machine and its
// other work.
func TestPlay_AnswersAreQuick(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.wait(`document.querySelector('.toolbar .run:not(:disabled)')`)
	var took []float64
	for range 10 {
		took = append(took, eval[float64](b, `new Promise((resolve) => {
			const start = performance.now();
			let before = document.querySelector('.answer');
			new MutationObserver((_, o) => {
				const now = document.querySelector('.answer');
				if (!now) before = null;
				if (now && now !== before) { o.disconnect(); resolve(performance.now() - start); }
			}).observe(document.querySelector('.result'), { childList: true, subtree: true });
			document.querySelector('.toolbar .run').click();
		})`))
		b.wait(`document.querySelector('.toolbar .primary')`)
	}
	if slices.Min(took) <= 0 {
		t.Error("no answer")
	}
	t.Logf("from the click to the answer: the first run %.0f ms, the fastest of ten %.0f ms", took[0], slices.Min(took))
}

func TestPlay_TheEditorKnowsWhatAHandlerHas(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	for typed, want := range map[string]string{"context.re": "request_id", "event['query": "queryStringParameters", "hand": "answers a request"} {
		b.code("")
		b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: typed})
			return err
		}))
		quoted, _ := json.Marshal(want)
		b.wait(`document.querySelector('.code .editor').shadowRoot.querySelector('.cm-tooltip-autocomplete')?.textContent.includes(` + string(quoted) + `)`)
	}
}

// A visitor can let code reach what the server's setting allows, and nothing else; a link
// can't decide it.
func TestPlay_TheNetworkIsAsked(t *testing.T) {
	b := newTab(t)
	port := shared.docs[strings.LastIndex(shared.docs, ":"):]
	b.open(link(t, `import urllib.request
def handler(event, context):
    try:
        urllib.request.urlopen("http://10.0.0.1/")
    except OSError as error:
        print("refused:", error)
    return {"body": urllib.request.urlopen("http://127.0.0.1`+port+`/").read()[:9].decode()}
`))
	b.run()
	if got := b.text(answer); !strings.Contains(got, "URLError") || !strings.Contains(got, "127.0.0.1"+port) {
		t.Errorf("with no network: %s", got)
	}
	b.wait(`document.querySelector('[name=network]:not(:checked)').closest('label').title.includes('localhost')`)
	eval[bool](b, `(document.querySelector('[name=network]').click(), true)`)
	b.run()
	if got := b.text(answer); !strings.Contains(got, "200 OK") || !strings.Contains(got, "<!doctype") {
		t.Errorf("with the network: %s", got)
	}
	if got := b.log(); !strings.Contains(got, "10.0.0.1:80") {
		t.Errorf("beyond the setting: %s", got)
	}
	b.button(".toolbar", "Share")
	b.wait(`location.hash.startsWith('#/play?s=')`)
	b.open(eval[string](b, `location.hash`))
	b.wait(`document.querySelector('[name=network]:not(:checked)')`)
}

func TestPlay_WithoutASettingThereIsNoNetworkToAskFor(t *testing.T) {
	_, h, _ := guarded(t)
	play, err := web.NewPlay(web.PlayConfig{}, h.Runner())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(web.New(web.Config{Play: play, Console: console.Handler(), Logger: quiet}, h))
	defer server.Close()
	b := newTab(t, allowing("status of 400"))
	b.url = server.URL
	b.open("#/play")
	b.wait(`document.querySelector('.welcome').innerText.includes('with no network')`)
	b.wait(`document.querySelector('.toolbar .run:not(:disabled)')`)
	if eval[bool](b, `document.querySelector('[name=network]') !== null`) {
		t.Error("there is a switch for it")
	}
}

func TestPlay_SaysSoWhereNobodyMayRunCode(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/play/v1/", http.NotFoundHandler())
	mux.Handle("/", shared.handler)
	server := httptest.NewServer(mux)
	defer server.Close()
	b := newTab(t, allowing("status of 404"))
	b.url = server.URL
	b.open("#/play")
	b.wait(`document.querySelector('.notice')?.innerText.includes('--playground') && document.querySelector('.toolbar .run').disabled`)
}
