package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// picky answers to "fine" and to nothing else.
const picky = `def handler(event, context):
    if (event if isinstance(event, str) else event['messages'][0]['details']['payload']) != 'fine':
        raise ValueError('<b>not fine</b>')
    return 'done'
`

// async makes a version that is called asynchronously, once.
func async(t *testing.T, id, source string) {
	t.Helper()
	manage(t, http.MethodPost, "/versions", map[string]any{
		"functionId": id, "runtime": "python312", "entrypoint": "main.handler", "content": archive(t, map[string]string{"main.py": source}),
		"executionTimeout": "60s", "asyncInvocationConfig": map[string]string{"retriesCount": "0"},
	})
}

// rowOf is the row of a table whose header has a text.
func rowOf(table, text string) string {
	return `[...document.querySelectorAll('` + table + ` tbody tr')].find((e) => e.querySelector('th').innerText.includes('` + text + `'))`
}

func TestEvents_TimersAreMadeReadPausedAndDeleted(t *testing.T) {
	async(t, deployed(t, "ticking", nil), picky)
	b := newTab(t, allowing("status of 400"))
	b.open("#/functions/ticking/events")
	b.wait(`document.querySelector('.timers').innerText.includes('None')`)
	b.button(".timers", "New timer")
	b.fill("dialog [name=name]", "well")
	b.fill("dialog [name=cron]", "every monday")
	b.button("dialog", "Create the timer")
	b.wait(`document.querySelector('dialog .field.wrong [name=cron]') && document.querySelector('dialog .notice.bad')`)
	b.fill("dialog [name=cron]", "* * * * * *")
	b.fill("dialog [name=payload]", "fine")
	b.button("dialog", "Create the timer")
	b.wait(`!document.querySelector('dialog') && ` + rowOf(".timers", "well"))
	b.button(".timers", "New timer")
	b.fill("dialog [name=name]", "badly")
	b.fill("dialog [name=cron]", "* * * * * *")
	b.fill("dialog [name=payload]", "<i>rotten</i>")
	b.button("dialog", "Create the timer")

	// Each has the outcome of its own call.
	for name, want := range map[string]string{"well": "200", "badly": "502"} {
		b.wait(rowOf(".timers", name) + `?.querySelector('[data-label=Last] time')`)
		b.button(".timers", "Pause "+name)
		b.wait(rowOf(".timers", name) + `.innerText.includes('paused')`)
		b.wait(rowOf(".timers", name) + `.querySelector('[data-label=Last] a')?.innerText.startsWith('` + want + `')`)
	}
	for _, timer := range manage(t, http.MethodGet, "/timers?functionId=ticking", nil)["timers"].([]any) {
		if timer := timer.(map[string]any); timer["paused"] != true {
			t.Errorf("%v is not paused", timer["name"])
		}
	}
	b.button(".timers", "Resume well")
	b.wait(rowOf(".timers", "well") + `.querySelector('[data-label=Next] time')`)
	b.open("#/events") // the same, of all functions
	b.wait(rowOf(".timers", "badly") + `.innerText.includes('<i>rotten</i>')`)
	b.button(".timers", "Delete timer well")
	b.button("dialog", "Delete for good")
	b.wait(`!document.querySelector('dialog') && !` + rowOf(".timers", "well") + ` && ` + rowOf(".timers", "badly"))
	b.button(".timers", "502")
	b.wait(`location.hash.startsWith('#/functions/ticking/calls/') && document.querySelector('.call .event')`)
}

func TestEvents_DeadLettersAreReadAndSentAgain(t *testing.T) {
	id := deployed(t, "dropping", nil)
	async(t, id, picky)
	answer, err := http.Post(shared.url+"/dropping?integration=async", "text/plain", strings.NewReader("<b>order 7</b>"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("the call is answered with %d", answer.StatusCode)
	}
	b := newTab(t)
	b.open("#/events")
	b.wait(`[...document.querySelectorAll('.letters tbody tr')].some((e) => e.innerText.includes('dropping') && e.innerText.includes('ValueError: <b>not fine</b>'))`)
	b.open("#/functions/dropping/events")
	b.button(".letters", "Show")
	b.wait(`document.querySelector('dialog pre').innerText.includes('<b>order 7</b>')`)
	async(t, id, "def handler(event, context):\n    return 'mended ' + event\n")
	b.button("dialog", "Send again")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.letters').innerText.includes('None')`)
	b.open("#/functions/dropping/calls")
	answered := `[...document.querySelectorAll('.call-list tbody tr')].find((e) => e.innerText.includes('200'))`
	b.wait(answered)
	eval[bool](b, answered+`.querySelector('a').click() ?? true`)
	b.wait(`document.querySelector('.call').innerText.includes('mended <b>order 7</b>')`)
}
