package console_test

import (
	"strings"
	"testing"
)

// lingers waits in one line and computes in another.
const lingers = `import time

def compute():
    total = 0
    for n in range(600_000):
        total += abs(n)
    return total

def handler(event, context):
    time.sleep(0.2)
    return {'body': str(compute())}
`

// slowest returns the line and the function that the table of a profile begins with, of one kind of time.
func (b *tab) slowest(kind string) string {
	b.t.Helper()
	b.button(".flame-head", kind)
	b.wait(`[...document.querySelectorAll('.flame-head button')].find((e) => e.textContent === '` + kind + `').getAttribute('aria-pressed') === 'true'`)
	return strings.Join(strings.Fields(b.text(".slowest tbody tr")), " ")
}

// wantLingers checks the profile of lingers.
func (b *tab) wantLingers() {
	b.t.Helper()
	b.wait(`document.querySelector('.flame-frame[data-line="main.py:10"]')`)
	if got := b.slowest("Waiting"); !strings.Contains(got, "main.py:10") || !strings.Contains(got, "handler") {
		b.t.Errorf("most waiting is in %s", got)
	}
	if got := b.slowest("Computing"); !strings.Contains(got, "main.py:") || !strings.Contains(got, "compute") {
		b.t.Errorf("most computing is in %s", got)
	}
	// A line is as wide as its time of the kind that is chosen.
	width := `(line) => Math.max(0, ...[...document.querySelectorAll('.flame-frame')].filter((e) => e.dataset.line === line).map((e) => e.offsetWidth / e.parentElement.offsetWidth))`
	b.wait(`(` + width + `)('main.py:11') > (` + width + `)('main.py:10')`)
	b.button(".flame-head", "All")
	// A line is looked at more closely, from the graph and from the table.
	b.wait(`(` + width + `)('main.py:10') < 0.99`)
	eval[bool](b, `(document.querySelector('.flame-frame[data-line="main.py:10"]').click(), true)`)
	b.wait(`(` + width + `)('main.py:10') > 0.99 && document.querySelector('.flame-said').innerText.includes('main.py:10')`)
	b.button(".flame-head", "Show all of it")
	b.wait(`(` + width + `)('main.py:10') < 0.99`)
	b.button(".slowest", "main.py:10")
	b.wait(`(` + width + `)('main.py:10') > 0.99`)
}

// A run in the playground and a call made again tell waiting from computing, by lines.
func TestProfile_OfARunAndOfAReplay(t *testing.T) {
	b := newTab(t)
	b.onNewDocument(`window.made = []; const make = URL.createObjectURL; URL.createObjectURL = (b) => { made.push(b); return make.call(URL, b); };`)
	b.open("#/play")
	b.paste(".code .editor", lingers)
	b.run()
	if eval[bool](b, `!!document.querySelector('.flame')`) {
		t.Error("there is a profile that nobody asked for")
	}
	b.check("profile")
	b.run()
	b.wantLingers()

	deployed(t, "lingers", []string{lingers})
	b.open("#/functions/lingers/test")
	b.button(".test", "Call")
	b.button(".test", "Open this call")
	b.wait(`document.querySelector('.call .event')`)
	b.check("profile")
	b.button(".call .event", "Replay")
	b.wantLingers()
	if begin := eval[[]float64](b, `made.at(-1).slice(0, 2).arrayBuffer().then((b) => [...new Uint8Array(b)])`); len(begin) != 2 || begin[0] != 0x1f || begin[1] != 0x8b ||
		!eval[bool](b, `document.querySelector('.profile-head a').download.endsWith('.pprof')`) {
		t.Errorf("the file for pprof begins with %v", begin)
	}
}

// Names in a profile are a stranger's, and it fits where there is little room.
func TestProfile_OfStrangersIsText(t *testing.T) {
	for _, theme := range []string{"light", "dark"} {
		b := newTab(t)
		b.look(theme, 390, 800)
		b.open("#/play")
		b.paste(".code .editor", "import time\nspace = {'time': time}\nexec(compile('def f():\\n  time.sleep(0.1)\\n', '<img src=x onerror=alert(1)>' + 'x' * 300, 'exec'), space)\n"+
			"f = space['f']\nf.__code__ = f.__code__.replace(co_qualname='<b>\\u202e' + 'y' * 90)\ndef handler(event, context):\n    f()\n    return {'body': ''}\n")
		b.check("profile")
		b.run()
		b.wait(`document.querySelector('.slowest')?.innerText.includes('<b>')`)
		if eval[bool](b, `!!document.querySelector('.flame b b, .flame img')`) {
			t.Error("a name became an element")
		}
		if !strings.Contains(b.text(".flame"), "‹U+202E›") {
			t.Error("a hidden character is not shown")
		}
		if n := eval[float64](b, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
			t.Errorf("%s: %v px wider than the window", theme, n)
		}
	}
}

// check clicks a checkbox.
func (b *tab) check(name string) {
	b.t.Helper()
	b.wait(`document.querySelector('input[name=` + name + `]:not(:checked)')`)
	eval[bool](b, `(document.querySelector('input[name=`+name+`]').click(), true)`)
	b.wait(`document.querySelector('input[name=` + name + `]:checked')`)
}
