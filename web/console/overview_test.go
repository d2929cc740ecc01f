package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// The chart is read off below the pointer and with the arrow keys, and calls and versions are at hand.
func TestOverview_IsReadOff(t *testing.T) {
	deployed(t, "glanced", []string{page1, strings.ReplaceAll(page1, "one", "two")}, []string{"prod"})
	for range 3 {
		call(t, "/glanced?tag=prod")
	}
	b := newTab(t)
	b.onNewDocument(`
		const really = window.fetch;
		window.fetch = async (path, init) => {
			const answer = await really(path, init);
			if (!String(path).includes(':figures')) return answer;
			const figures = await answer.json();
			figures.points = Array.from({ length: 60 }, (_, i) => ({ time: new Date(2026, 0, 1, 12, 0, 10 * i).toISOString(), calls: i, errors: i === 59 ? 7 : 0, memory: 0 }));
			return new Response(JSON.stringify(figures), { headers: { 'Content-Type': 'application/json' } });
		};`)
	b.open("#/functions/glanced")
	said := `document.querySelector('.timeline-said').innerText.replace(/\s+/g, ' ')`
	b.wait(said + ` === 'now calls 59 errors 7'`)
	eval[bool](b, `(() => {
		const area = document.querySelector('.timeline-area'), box = area.getBoundingClientRect();
		area.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: box.left + box.width * 30 / 59, clientY: box.top + 10 }));
		return true;
	})()`)
	b.wait(said + ` === '12:05:00 calls 30 errors 0' && document.querySelector('.crosshair')`)
	b.button(".charts", "2 min")
	eval[bool](b, `(document.querySelector('.timeline-area').focus(), document.querySelector('.timeline-area').dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true, cancelable: true })), true)`)
	b.wait(said + ` === '12:08:00 calls 48 errors 0'`)
	b.wait(`document.querySelector('.timeline-area').getAttribute('aria-valuetext') === '12:08:00, calls 48, errors 0'`)
	b.button(".charts", "Duration")
	b.wait(`document.querySelector('.timeline-said').innerText.includes('p99')`)

	b.wait(`document.querySelectorAll('[aria-label="Recent calls"] li').length === 3`)
	b.button(`[aria-label="Newest versions"]`, "$latest")
	b.wait(`document.querySelector('.compare .diff .new')?.textContent.includes('two')`)
	b.open("#/functions/glanced")
	b.wait(`document.querySelector('[aria-label="Recent calls"] li')`)
	b.button(`[aria-label="Recent calls"]`, "200")
	b.wait(`document.querySelector('.call .event')`)
}

// Other settings are a new version of the same code; what the form does not show stays.
func TestOverview_SettingsMakeANewVersion(t *testing.T) {
	for _, name := range []string{"first-secret", "second-secret"} {
		manage(t, http.MethodPost, "/secrets", map[string]any{"name": name, "entries": map[string]string{"token": name}})
	}
	id := deployed(t, "settled", nil)
	manage(t, http.MethodPost, "/versions", map[string]any{
		"functionId": id, "entrypoint": "main.handler", "executionTimeout": "61s", "environment": map[string]string{"GREETING": "hello", "OLD": "1"},
		"secrets":     []map[string]string{{"id": "first-secret", "key": "token", "environmentVariable": "FIRST"}},
		"description": "kept", "noFreeze": true,
		"content": archive(t, map[string]string{"main.py": "import os\ndef handler(event, context):\n    return {'body': '|'.join(os.environ.get(n, '') for n in ('GREETING', 'OLD', 'FIRST', 'SECOND')) + str(context.memory_limit_in_mb)}\n"}),
	})
	if got := call(t, "/settled"); got != "hello|1|first-secret|128" {
		t.Fatalf("answer: %s", got)
	}
	b := newTab(t, allowing("status of 400"))
	b.open("#/functions/settled")
	b.button(".settings", "Edit")
	b.wait(`document.querySelector('dialog [name=environment]')?.value === 'GREETING=hello\nOLD=1' && document.querySelector('dialog [name=secrets]').value.startsWith('FIRST=')`)
	first := eval[string](b, `document.querySelector('dialog [name=secrets]').value`)
	b.fill("dialog [name=memory]", "256")
	b.fill("dialog [name=timeout]", "0")
	b.fill("dialog [name=environment]", "GREETING=good evening")
	b.fill("dialog [name=secrets]", "SECOND")
	b.button("dialog", "Deploy")
	b.wait(`document.querySelector('dialog .notice.bad')?.innerText.includes('is not VARIABLE=SECRET/KEY')`)
	b.fill("dialog [name=secrets]", first+"\nSECOND=second-secret/token")
	b.button("dialog", "Deploy")
	b.wait(`document.querySelector('dialog .notice.bad')?.innerText.includes('executionTimeout')`)
	b.fill("dialog [name=timeout]", "62")
	b.fill("dialog [name=tags]", "prod")
	b.button("dialog", "Deploy")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.settings').innerText.includes('62s')`)
	if got := call(t, "/settled?tag=prod"); got != "good evening||first-secret|second-secret256" {
		t.Errorf("answer: %s", got)
	}
	newest := manage(t, http.MethodGet, "/versions?functionId="+id, nil)["versions"].([]any)[0].(map[string]any)
	if newest["description"] != "kept" || newest["noFreeze"] != true {
		t.Errorf("the new version is %v", newest)
	}
	if got := b.text(".settings"); !strings.Contains(got, "SECOND=") || strings.Contains(got, "OLD") {
		t.Errorf("settings: %s", got)
	}
}

// Where a node of a cluster has not answered, its figures are missing, and the pages say so.
func TestFigures_TellWhatIsMissing(t *testing.T) {
	deployed(t, "gappy", []string{page1}, nil)
	b := newTab(t)
	b.onNewDocument(`
		const really = window.fetch;
		window.fetch = async (path, init) => {
			const answer = await really(path, init);
			if (!String(path).includes(':figures')) return answer;
			const figures = await answer.json();
			Object.assign(figures, window.whole ? {} : String(path).includes('/functions:figures') ? { silentNodes: 2, silent: ['10.0.0.1:7400', '10.0.0.2:7400'] } : { silentNodes: 1 });
			return new Response(JSON.stringify(figures), { headers: { 'Content-Type': 'application/json' } });
		};`)
	b.open("#/functions")
	b.wait(`document.querySelector('.notice.warn')?.innerText.includes('2 nodes') && document.querySelector('.notice.warn').innerText.includes('10.0.0.2:7400')`)
	b.open("#/functions/gappy")
	b.wait(`document.querySelector('.notice.warn')?.innerText.includes('One node')`)
	eval[bool](b, `(window.whole = true)`)
	b.wait(`document.querySelector('.numbers') && !document.querySelector('.notice.warn')`)
}
