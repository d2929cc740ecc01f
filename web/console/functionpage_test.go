package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A function's page has the same address as the console. What its script can do
// there must not include what the operator can.
func TestFunctionPage_HasNoPartInTheConsole(t *testing.T) {
	deployed(t, "hostile-page", []string{`
PAGE = """<!doctype html><title>wait</title><script>
const attempts = {
  key: async () => sessionStorage.getItem('vivarium.key') ?? 'nothing',
  list: async () => (await fetch('/functions/v1/functions')).status,
  create: async () => (await fetch('/functions/v1/functions', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name": "made-by-a-page"}' })).status,
  blind: async () => { await fetch('/functions/v1/functions', {
    method: 'POST', mode: 'no-cors', body: '{"name": "made-blindly"}' }); throw new Error('nothing to read'); },
  run: async () => (await fetch('/play/v1/run', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"files": {"main.py": ""}}' })).status,
  worker: async () => (await navigator.serviceWorker.register('/hostile-page')).scope,
};
(async () => {
  const won = [];
  for (const [name, attempt] of Object.entries(attempts)) {
    try { won.push(name + ': ' + await attempt()); } catch { }
  }
  document.body.textContent = 'won: ' + won.join(', ');
})();
</script><body></body>"""

def handler(event, context):
    return {'headers': {'Content-Type': 'text/html'}, 'body': PAGE}
`})
	b := newTab(t, allowing("hostile-page", "CORS policy", "/functions/v1/functions", "/play/v1/run"))
	b.do(chromedp.Navigate(b.url + "/hostile-page"))
	b.wait(`document.body.textContent.startsWith('won:')`)
	if got := b.text("body"); got != "won:" {
		t.Errorf("the page could do this: %s", got)
	}
	b.open("#/functions")
	b.wait(`document.querySelector('tbody')?.innerText.includes('hostile-page')`)
	if eval[bool](b, `document.querySelector('tbody').innerText.includes('made-')`) {
		t.Error("the page made a function")
	}
}
