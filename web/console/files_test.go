package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// A draft has several files and an environment: they run, are shared, and are deployed.
func TestPlay_SeveralFilesAndAnEnvironment(t *testing.T) {
	t.Cleanup(func() { manage(t, http.MethodDelete, "/functions/several", nil) })
	b := newTab(t, allowing("status of 404")) // of the function that is not there yet
	b.open("#/play")
	b.code("import os, lib.words\ndef handler(event, context):\n    return {'body': lib.words.greet(os.environ['NAME'])}\n")
	file := func(text string) {
		t.Helper()
		b.wait(`[...document.querySelectorAll('.file-tabs [aria-pressed=true]')].some((e) => e.textContent.startsWith('` + text + `'))`)
	}
	b.button(".file-tabs", "New file")
	b.fill("dialog input", "main.py")
	b.button("dialog", "Add")
	b.wait(`document.querySelector('dialog .notice.bad')`) // there is one
	b.fill("dialog input", "lib/words.py")
	b.button("dialog", "Add")
	b.wait(`!document.querySelector('dialog')`)
	file("lib/words.py")
	b.code("def greet(name):\n    return nam\n")
	b.button(".file-tabs", "Environment")
	file("Environment")
	b.code("NAME: Ann")
	b.run()
	b.wait(`document.querySelector('.result .notice.bad')?.innerText.includes('is not NAME=value')`)
	b.code("NAME=Ann")
	b.run()
	b.wait(`document.querySelector('.result .trace')?.innerText.includes('NameError')`)
	file("lib/words.py") // where the error is
	b.wait(`document.querySelector('.code .editor').shadowRoot.querySelector('.cm-markNote')?.textContent.includes('NameError')`)
	b.code("def greet(name):\n    return 'Hello, ' + name\n")
	b.run()
	b.wait(`document.querySelector('.result .answer').innerText.includes('Hello, Ann')`)

	b.button(".toolbar", "Share")
	b.wait(`location.hash.includes('?s=')`)
	shared := eval[string](b, `location.hash`)
	other := newTab(t)
	other.open(shared)
	other.wait(`document.querySelector('.file-tabs').innerText.includes('lib/words.py')`)
	other.run()
	other.wait(`document.querySelector('.result .answer').innerText.includes('Hello, Ann')`)
	other.button(".file-tabs", "lib/words.py")
	other.button(".code", "Remove lib/words.py")
	other.run()
	other.wait(`document.querySelector('.result .trace')?.innerText.includes('ModuleNotFoundError')`)

	b.button(".toolbar", "Deploy")
	b.fill("dialog [name=name]", "several")
	b.button("dialog", "Deploy")
	b.wait(`location.hash === '#/functions/several/test'`)
	if got := call(t, "/several"); got != "Hello, Ann" {
		t.Errorf("the function answers %q", got)
	}
}

// Lists of objects and CSV are shown as tables, as text.
func TestPlay_AnAnswerIsATable(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	cells := `[...document.querySelectorAll('.answer-table tr')].map((r) => [...r.children].map((c) => c.textContent).join('|')).join(';')`
	for _, c := range []struct{ code, want string }{
		{"import json\ndef handler(event, context):\n    return {'headers': {'Content-Type': 'application/json'}, " +
			"'body': json.dumps([{'a': 1, 'b': '<b>x</b>'}, {'b': None, 'c': [2]}])}\n",
			"a|b|c;1|<b>x</b>|;||[2]"},
		{"def handler(event, context):\n    return {'headers': {'Content-Type': 'text/csv'}, 'body': 'a,b\\n1,\"x, \"\"y\"\"\"\\n,z\\n'}\n",
			`a|b;1|x, "y";|z`},
	} {
		b.code(c.code)
		b.run()
		b.button(".result .choice", "Table")
		b.wait(`document.querySelector('.answer-table')`)
		if got := eval[string](b, cells); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	b.code("def handler(event, context):\n    return {'body': '[{'}\n")
	b.run()
	if got := b.text(".result"); strings.Contains(got, "Table") {
		t.Errorf("what is no table is offered as one: %s", got)
	}
}
