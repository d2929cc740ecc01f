package console_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// docsPage is a page with runnable snippets, as in documentation.
const docsPage = `<!doctype html><html lang="en"><title>Docs</title><h1>Docs</h1>
<script src="%[1]s/console/widget.js"></script>
<vivarium-run id="script" server="%[1]s">
    for n in range(3):
        print('line', n, '&lt;b id=evil>\u202e')
</vivarium-run>
<vivarium-run id="handler">
    def handler(event, context):
        return {'body': 'an answer'}
</vivarium-run>
<vivarium-run id="error">
    x = 1
    print(x / 0)
</vivarium-run>
<vivarium-run id="endless">
    while True:
        pass
</vivarium-run>
`

// serveDocs serves docsPage.
func serveDocs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, docsPage, shared.url)
}

func TestWidget_RunsInAPageOfAnotherOrigin(t *testing.T) {
	b := newTab(t, allowing(shared.docs))
	b.do(chromedp.Navigate(shared.docs + "/"))
	root := func(id string) string { return `document.getElementById('` + id + `').shadowRoot` }
	for _, id := range []string{"script", "handler", "error"} {
		b.wait(root(id) + `?.querySelector('button')`)
		eval[bool](b, `(`+root(id)+`.querySelector('button').click(), true)`)
		b.wait(`/\d ms/.test(` + root(id) + `.querySelector('[role=status]').textContent)`)
	}
	output := func(id string) string { return eval[string](b, root(id)+`.querySelector('section > pre').innerText`) }
	if got := output("script"); !strings.Contains(got, "line 0 <b id=evil>‹U+202E›\nline 1") {
		t.Errorf("script: %q", got)
	}
	if got := output("handler"); !strings.Contains(got, "an answer") {
		t.Errorf("handler: %q", got)
	}
	if got := output("error"); !strings.Contains(got, "ZeroDivisionError") {
		t.Errorf("error: %q", got)
	}
	if got := eval[string](b, `[...`+root("error")+`.querySelectorAll('.marked')].map((e) => e.textContent).join('')`); got != "print(x / 0)" {
		t.Errorf("marked: %q", got)
	}
	eval[bool](b, `(`+root("endless")+`.querySelector('button').click(), true)`)
	b.wait(root("endless") + `.querySelector('button').textContent === 'Stop'`)
	eval[bool](b, `(`+root("endless")+`.querySelector('button').click(), true)`)
	b.wait(root("endless") + `.querySelector('[role=status]').textContent === 'stopped'`)
	if n := eval[int](b, `document.querySelectorAll('#evil').length + [...document.querySelectorAll('vivarium-run')].reduce((n, e) => n + e.shadowRoot.querySelectorAll('#evil').length, 0)`); n != 0 {
		t.Error("output became an element")
	}
}

func TestWidget_IsSmallAndAlone(t *testing.T) {
	body, err := io.ReadAll(get(t, "/console/widget.js", http.Header{"Accept-Encoding": {"gzip"}}).Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 10_000 {
		t.Errorf("it has %d bytes, compressed", len(body))
	}
}
