package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// post calls a function with a body.
func post(t *testing.T, path, body string) {
	t.Helper()
	answer, err := http.Post(shared.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// divider answers with a quotient, in one way or another.
func divider(word string) string {
	return fmt.Sprintf(`import json
def handler(event, context):
    print('asked', event['body'])
    n = json.loads(event['body'])['n']
    return {'statusCode': 200, 'body': json.dumps({'kind': '%s', 'list': [1, 2, 3, 4, 5, 6, 7, 8, 9], 'is': 10 // n, 'password': 'x'})}
`, word)
}

const (
	row      = ".call-list tbody tr"
	eventBox = ".call .event .editor"
)

// A call is opened, edited, made again of another version, and what is different is seen.
func TestCalls_OpenEditReplayAndSeeTheDifference(t *testing.T) {
	deployed(t, "divides", []string{divider("old"), divider("new")}, []string{"prod"}, []string{"next"})
	b := newTab(t)
	b.open("#/functions/divides/calls")
	b.wait(`document.querySelector('.calls .empty').textContent.includes('No calls yet')`)
	post(t, "/divides?tag=prod", `{"n": 5}`)
	post(t, "/divides?tag=prod", `{"n": 0}`)
	b.wait(`document.querySelectorAll('` + row + `').length === 2`) // by itself
	if got := b.text(row); !strings.Contains(got, "502 Function error") || !strings.Contains(got, "ZeroDivisionError") || !strings.Contains(got, "prod") {
		t.Errorf("the newest is %s", got)
	}
	b.button(".calls-head", "Failed")
	b.wait(`document.querySelectorAll('` + row + `').length === 1`)
	b.button(".calls-head", "All")
	b.wait(`document.querySelectorAll('` + row + `').length === 2`)
	// A click anywhere in the row opens it.
	eval[bool](b, `(document.querySelectorAll('`+row+`')[1].querySelector('[data-label=Took]').click(), true)`)
	b.wait(`document.querySelector('.call .panel .bar') && document.querySelector('.call .log').textContent.includes('asked')`)
	page := b.text(".call")
	for _, want := range []string{"200 OK", "cold start", "processor", "handler", "HTTP", `"kind": "old"`, `"is": 2`, `"password": "[redacted]"`} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q in\n%s", want, page)
		}
	}
	first := eval[string](b, `location.hash`)

	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.again')?.innerText.includes('The answer is the same')`)
	event := eval[string](b, `document.querySelector('`+eventBox+`').shadowRoot.querySelector('.cm-content').innerText`)
	if !strings.Contains(event, `{\"n\": 5}`) {
		t.Fatalf("the event is %s", event)
	}
	b.paste(eventBox, `{"body": "{\"n\": 2}"}`)
	id := eval[string](b, `[...document.querySelectorAll('.call .event select option')].find((o) => o.textContent.startsWith('next')).value`)
	b.fill(".call .event select", id)
	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.diff .new')`)
	lines := eval[[]string](b, `[...document.querySelectorAll('.diff > :not(.same)')].map((e) => (e.className + ' ' + e.querySelector(':not(.visually-hidden)')?.nextSibling?.textContent ?? e.textContent).replace(/\s+/g, ' '))`)
	got := strings.Join(lines, "|")
	if !strings.Contains(got, `gone "kind": "old"`) || !strings.Contains(got, `new "kind": "new"`) || !strings.Contains(got, `gone "is": 2`) ||
		!strings.Contains(got, `new "is": 5`) || strings.Contains(got, `"list"`) {
		t.Errorf("the difference is %s", got)
	}
	if got := b.text(".again .panel-head"); !strings.Contains(got, "next") {
		t.Errorf("the replay is %s", got)
	}
	b.button(".again", "Open this call")
	b.wait(`document.querySelector('.call-facts')?.innerText.includes('Replay of') && location.hash !== '` + first + `'`)
	eval[bool](b, `([...document.querySelectorAll('.call-facts a')][0].click(), true)`)
	b.wait(`location.hash === '` + first + `' && document.querySelector('.call-facts') && !document.querySelector('.call-facts').innerText.includes('Replay of')`)
	b.button(".calls-head", "All calls")
	b.wait(`document.querySelectorAll('` + row + `').length === 4 && document.querySelector('.call-list').innerText.includes('HTTP, replay')`)
}

func TestCalls_SayWhatIsMissing(t *testing.T) {
	deployed(t, "misses", []string{"def handler(event, context):\n    return event if isinstance(event, (int, str)) else {'body': 'ok'}\n"})
	manage(t, http.MethodPatch, "/functions/misses", map[string]any{"calls": map[string]any{"redact": []string{"email"}}})
	post(t, "/misses", `{"email": "ann@example.com"}`)
	post(t, "/misses?integration=raw", strings.Repeat("x", 70_000))
	post(t, "/misses?integration=raw", "\xff\x00\xfe")
	b := newTab(t, allowing("status of 409"))
	open := func(n int) {
		b.open("#/functions/misses/calls")
		b.wait(`document.querySelectorAll('` + row + `').length >= 3`)
		eval[bool](b, fmt.Sprintf(`([...document.querySelectorAll('%s a')].at(-%d).click(), true)`, row, n))
		b.wait(`document.querySelector('.call .event')`)
	}
	open(1)
	if got := b.text(".call .event"); !strings.Contains(got, "The values of email are not kept") || strings.Contains(got, "ann@") {
		t.Errorf("got %s", got)
	}
	open(2)
	b.wait(`document.querySelector('.call .event').innerText.includes('Only the beginning of this event is kept')`)
	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.call .event .notice.bad')?.innerText.includes('of which only the beginning is kept')`)
	b.paste(eventBox, `7`)
	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.again .diff .new')?.textContent.includes('7')`)
	open(3)
	b.wait(`document.querySelector('.call .event pre')?.textContent.includes('ff 00 fe')`)
	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.again')?.innerText.includes('The answer is the same')`)

	manage(t, http.MethodPatch, "/functions/misses", map[string]any{"calls": map[string]any{"off": true}})
	b.open("#/functions/misses/calls")
	b.wait(`document.querySelector('.calls-head').innerText.includes('calls are not kept')`)
}

func TestCalls_OfStrangersAreText(t *testing.T) {
	deployed(t, "strange", []string{"def handler(event, context):\n    return {'body': '<img src=x onerror=alert(1)>\\u202e'}\n"})
	post(t, "/strange", "<script>alert(1)</script>\u202e")
	b := newTab(t, allowing("status of 404"))
	b.open("#/functions/strange/calls")
	b.wait(`document.querySelector('` + row + `')`)
	b.button(".call-list", "")
	b.wait(`document.querySelector('.call [aria-label=Answer] pre')?.textContent.includes('<img src=x') && !document.querySelector('.call img')`)
	b.open("#/functions/strange/calls/" + strings.Repeat("x", 300))
	b.wait(`document.querySelector('.notice.bad').innerText.includes('not found')`)
}

func TestCalls_FitANarrowWindow(t *testing.T) {
	deployed(t, "narrow-calls", []string{divider("a-long-word-" + strings.Repeat("x", 80))}, []string{"customers-of-the-north"})
	for _, theme := range []string{"light", "dark"} {
		post(t, "/narrow-calls", `{"n": 1}`)
		b := newTab(t)
		b.look(theme, 390, 800)
		b.open("#/functions/narrow-calls/calls")
		b.wait(`document.querySelector('` + row + `')`)
		wide := func(what string) {
			if n := eval[float64](b, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
				t.Errorf("%s, %s: %v px wider than the window", theme, what, n)
			}
			if cut := eval[[]string](b, `[...document.querySelectorAll('main button, main select')].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.textContent)`); len(cut) > 0 {
				t.Errorf("%s, %s: cut off are %v", theme, what, cut)
			}
		}
		wide("the list")
		b.button(".call-list", "")
		b.wait(`document.querySelector('.call .event')`)
		b.paste(eventBox, `{"body": "{\"n\": 3}"}`)
		b.button(".call .event", "Replay")
		b.wait(`document.querySelector('.diff .new')`)
		wide("a call")
	}
}

func TestCalls_OlderOnesAreLoaded(t *testing.T) {
	deployed(t, "many-calls", []string{"def handler(event, context):\n    return {'body': 'ok'}\n"})
	for range 55 {
		call(t, "/many-calls")
	}
	b := newTab(t)
	b.open("#/functions/many-calls/calls")
	b.wait(`document.querySelectorAll('` + row + `').length === 50`)
	b.button(".calls", "Older calls")
	b.wait(`document.querySelectorAll('` + row + `').length === 55 && ![...document.querySelectorAll('.calls button')].some((e) => e.textContent === 'Older calls')`)
	call(t, "/many-calls")
	b.wait(`document.querySelectorAll('` + row + `').length === 56`) // what was loaded stays
	times := eval[[]string](b, `[...document.querySelectorAll('.call-list time')].map((e) => e.dateTime)`)
	for i := range times[1:] {
		if times[i] < times[i+1] {
			t.Errorf("row %d is older than the next: %s, %s", i, times[i], times[i+1])
		}
	}
}
