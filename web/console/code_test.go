package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const codeEditor = ".code-view .editor"

// contains waits until the editor of a function's code shows a text.
func (b *tab) contains(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.wait(`document.querySelector('` + codeEditor + `')?.shadowRoot?.textContent.includes(` + string(quoted) + `)`)
}

// Code is edited where it is read, and becomes a version with the other's settings.
func TestCode_IsEditedDeployedAndCompared(t *testing.T) {
	manage(t, http.MethodPost, "/secrets", map[string]any{"name": "for-edits", "entries": map[string]string{"token": "hush"}})
	id := deployed(t, "edited", nil)
	manage(t, http.MethodPost, "/versions", map[string]any{
		"functionId": id, "entrypoint": "main.handler", "executionTimeout": "61s", "tag": []string{"prod"},
		"secrets": []map[string]string{{"id": "for-edits", "key": "token", "environmentVariable": "TOKEN"}},
		"mounts":  []map[string]any{{"name": "disk", "ephemeralDiskSpec": map[string]any{"size": "1048576"}}},
		"content": archive(t, map[string]string{
			"main.py":      "import os, lib.words\ndef handler(event, context):\n    return {'body': lib.words.WORD + os.environ['TOKEN']}\n",
			"lib/words.py": "WORD = 'green'\n", "data.bin": "\x00\xff\x01", "old.py": "OLD = 1\n",
		}),
	})
	b := newTab(t, allowing("status of 400"))
	b.open("#/functions/edited/code")
	b.contains("import os")
	b.button(".files nav", "lib/words.py")
	b.contains("green")
	b.paste(codeEditor, "WORD = 'blue' + extra.MARK\nimport extra\n")
	b.wait(`document.querySelector('.code-view .pill.warn')?.textContent === '1 file edited'`)
	b.button(".files nav", "New file")
	b.fill("dialog input", "../extra.py")
	b.button("dialog", "Add")
	b.wait(`document.querySelector('dialog .notice.bad')`)
	b.fill("dialog input", "extra.py")
	b.button("dialog", "Add")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.files nav [aria-current]').textContent.includes('extra.py')`)
	b.paste(codeEditor, "MARK = '!'\n")
	b.button(".files nav", "old.py")
	b.contains("OLD")
	b.button(".files nav", "Remove old.py")
	b.wait(`![...document.querySelectorAll('.files nav li')].some((e) => e.textContent.includes('old.py'))`)

	// Another tab does not lose them, and code that does not load changes nothing.
	b.button(".tabs", "Versions")
	b.wait(`document.querySelector('.versions')`)
	b.button(".tabs", "Code")
	b.wait(`document.querySelector('.code-view .pill.warn')?.textContent === '3 files edited'`)
	b.button(".code-view", "Deploy edits")
	b.button("dialog", "Deploy")
	b.wait(`document.querySelector('dialog .trace')?.innerText.includes('NameError')`)
	if got := call(t, "/edited"); got != "greenhush" {
		t.Errorf("answer: %s", got)
	}
	b.button("dialog", "Cancel")
	b.wait(`!document.querySelector('dialog')`)
	b.button(".files nav", "lib/words.py")
	b.contains("extra.MARK")
	b.paste(codeEditor, "import extra\nWORD = 'blue' + extra.MARK\n")
	b.button(".code-view", "Deploy edits")
	b.fill("dialog [name=tags]", "next")
	b.button("dialog", "Deploy")
	b.wait(`!document.querySelector('dialog') && !document.querySelector('.code-view .pill.warn') && document.querySelector('[name=version]').selectedOptions[0].textContent.includes('next')`)
	for path, want := range map[string]string{"/edited": "blue!hush", "/edited?tag=next": "blue!hush", "/edited?tag=prod": "greenhush"} {
		if got := call(t, path); got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	versions := manage(t, http.MethodGet, "/versions?functionId="+id, nil)["versions"].([]any)
	newest := versions[0].(map[string]any)
	if newest["executionTimeout"] != "61s" || newest["mounts"] == nil || newest["secrets"] == nil {
		t.Errorf("the new version is %v", newest)
	}

	before := versions[1].(map[string]any)["id"].(string)
	b.fill("[name=than]", before)
	b.wait(`document.querySelector('.compare [aria-label="lib/words.py"] .diff .new')`)
	got := b.text(".compare")
	for _, want := range []string{"− WORD = 'green'", "+ WORD = 'blue' + extra.MARK", "extra.py", "new", "old.py", "removed"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "data.bin") || strings.Contains(got, "main.py") || strings.Contains(got, "Settings") {
		t.Errorf("what is the same is there:\n%s", got)
	}
}

// Making an old version the newest keeps all of its settings, and they are compared.
func TestVersions_MadeNewestKeepTheirSettings(t *testing.T) {
	id := deployed(t, "restored", nil)
	for _, v := range []map[string]any{
		{"executionTimeout": "61s", "tmpfsSize": "805306368", "resources": map[string]string{"memory": "1073741824"}, "mounts": []map[string]any{{"name": "disk", "ephemeralDiskSpec": map[string]any{"size": "1048576"}}}},
		{"executionTimeout": "62s", "environment": map[string]string{"LEVEL": "2"}},
	} {
		v["functionId"], v["entrypoint"], v["content"] = id, "main.handler", archive(t, map[string]string{"main.py": page1})
		manage(t, http.MethodPost, "/versions", v)
	}
	b := newTab(t)
	b.open("#/functions/restored/versions")
	b.button(".versions tbody tr:last-child", "Make newest")
	b.button("dialog", "Make it the newest")
	b.wait(`!document.querySelector('dialog') && document.querySelectorAll('.versions tbody tr').length === 3`)
	versions := manage(t, http.MethodGet, "/versions?functionId="+id, nil)["versions"].([]any)
	newest := versions[0].(map[string]any)
	if newest["executionTimeout"] != "61s" || newest["tmpfsSize"] != "805306368" || newest["mounts"] == nil {
		t.Errorf("the new version is %v", newest)
	}
	id1, id2 := versions[1].(map[string]any)["id"], newest["id"]
	b.open(fmt.Sprintf("#/functions/restored/code/%s..%s", id1, id2))
	b.wait(`document.querySelector('.compare [aria-label=Settings] .diff')`)
	if got := b.text(".compare"); !strings.Contains(got, "− environment.LEVEL = 2") || !strings.Contains(got, "+ executionTimeout = 61s") || strings.Contains(got, "main.py") {
		t.Errorf("got %s", got)
	}
	b.fill("[name=than]", fmt.Sprint(versions[2].(map[string]any)["id"]))
	b.wait(`document.querySelector('.compare')?.innerText.includes('Nothing is different')`)
}

// The whole way in the browser: write, run, profile, deploy, call, open the call, make it
// again of another version with another event, see the difference, roll back.
func TestStory_FromAnIdeaToARollback(t *testing.T) {
	t.Cleanup(func() { manage(t, http.MethodDelete, "/functions/story", nil) })
	b := newTab(t, allowing("status of 404")) // of the function that is not there yet
	begin := time.Now()
	b.open("#/play")
	b.code("import time\n\ndef handler(event, context):\n    time.sleep(0.1)\n    name = event['queryStringParameters']['name']\n    return {'body': 'Hello, ' + name}\n")
	b.check("profile")
	b.run()
	b.wait(`document.querySelector('.result .answer').innerText.includes('Hello, Ann')`)
	if got := b.slowest("Waiting"); !strings.Contains(got, "main.py:4") {
		t.Errorf("most waiting is in %s", got)
	}
	b.button(".toolbar", "Deploy")
	b.fill("dialog [name=name]", "story")
	b.fill("dialog [name=tags]", "prod")
	b.button("dialog", "Deploy")
	b.wait(`location.hash === '#/functions/story/test' && document.querySelector('.test')`)
	if got := call(t, "/story?tag=prod&name=Bob"); got != "Hello, Bob" {
		t.Errorf("the function answers %q", got)
	}

	b.button(".tabs", "Code")
	b.contains("Hello")
	b.paste(codeEditor, "def handler(event, context):\n    name = event['queryStringParameters']['name']\n    return {'body': 'Good evening, ' + name}\n")
	b.button(".code-view", "Deploy edits")
	b.fill("dialog [name=tags]", "prod")
	b.button("dialog", "Deploy")
	b.wait(`!document.querySelector('dialog') && document.querySelector('[name=version]').selectedOptions[0].textContent.includes('prod')`)

	b.button(".tabs", "Test")
	b.button(".test", "Call")
	b.wait(`document.querySelector('.test .answer')?.innerText.includes('Good evening, Ann')`)
	b.button(".test", "Open this call")
	b.wait(`document.querySelector('.call .event')`)
	b.paste(eventBox, `{"queryStringParameters": {"name": "Cleo"}}`)
	older := eval[string](b, `[...document.querySelectorAll('.call .event select option')].at(-1).value`)
	b.fill(".call .event select", older)
	b.button(".call .event", "Replay")
	b.wait(`document.querySelector('.diff .gone')?.textContent.includes('Good evening, Ann') && document.querySelector('.diff .new').textContent.includes('Hello, Cleo')`)

	b.button(".tabs", "Versions")
	b.button(".tag-list", "Roll back prod")
	b.wait(`document.querySelector('dialog')?.innerText.includes('Back to')`)
	b.button("dialog", "Roll back")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.versions tbody tr:last-child').innerText.includes('prod')`)
	if got := call(t, "/story?tag=prod&name=Bob"); got != "Hello, Bob" {
		t.Errorf("after the rollback the function answers %q", got)
	}
	t.Logf("the story took %v", time.Since(begin).Round(time.Millisecond))
}
