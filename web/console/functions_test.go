package console_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

const page1 = "def handler(event, context):\n    print('one was called')\n    return {'body': 'one'}\n"

// folder writes files into a folder of that name and returns its path.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// archive returns a zip archive.
func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deployed creates a function without the browser, with a version for each
// source and the tags in the same position. It returns the function's id.
func deployed(t testing.TB, name string, sources []string, tags ...[]string) string {
	t.Helper()
	id := manage(t, http.MethodPost, "/functions", map[string]any{"name": name})["metadata"].(map[string]any)["functionId"].(string)
	t.Cleanup(func() {
		request, err := http.NewRequest(http.MethodDelete, shared.url+"/functions/v1/functions/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close() // the test may have deleted it
		}
	})
	for i, source := range sources {
		version := map[string]any{
			"functionId": id, "runtime": "python312", "entrypoint": "main.handler",
			"content": archive(t, map[string]string{"main.py": source, "lib/words.py": "WORDS = ['green']\n"}),
			// Generous, whatever else this machine does.
			"executionTimeout": "60s", "environment": map[string]string{"GREETING": "<b>hello</b>"},
		}
		if i < len(tags) {
			version["tag"] = tags[i]
		}
		manage(t, http.MethodPost, "/versions", version)
	}
	return id
}

// manage makes a request of the management API.
func manage(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	return manageAt(t, shared.url, "", method, path, body)
}

// manageAt makes a request of a server's management API, with a key if there is one.
func manageAt(t testing.TB, url, secret, method, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, url+"/functions/v1"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		request.Header.Set("Authorization", "Api-Key "+secret)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var document map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %v %v", method, path, answer.StatusCode, document, err)
	}
	return document
}

// call calls a function and returns the response's body.
func call(t *testing.T, path string) string {
	t.Helper()
	body, err := io.ReadAll(get(t, path, nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// drop drops files or folders of this machine onto an element.
func (b *tab) drop(selector string, paths ...string) {
	b.t.Helper()
	b.wait(`document.querySelector("` + selector + `")`)
	at := eval[[]float64](b, `(() => { const r = document.querySelector("`+selector+`").getBoundingClientRect(); return [r.x + r.width / 2, r.y + 20]; })()`)
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1}
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, kind := range []input.DispatchDragEventType{
			input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
		} {
			_, err := chromedp.Call(ctx, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: at[0], Y: at[1], Data: data})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestDeploy_ADroppedFolderBecomesAFunction(t *testing.T) {
	b := newTab(t, allowing("status of 404")) // of the function that does not exist yet
	b.open("#/deploy")
	b.drop(".drop", folder(t, "dropped", map[string]string{
		"main.py":      "import lib.words\n\ndef handler(event, context):\n    import os\n    return {'body': lib.words.WORD + os.environ['SIGN']}\n",
		"lib/words.py": "WORD = 'green'\n", ".git/config": "secret", "__pycache__/main.pyc": "old",
		"env/pyvenv.cfg": "", "env/lib/much.py": "x",
	}))
	b.wait(`document.querySelector('.drop').innerText.includes('2 files') && document.querySelector('.drop').innerText.includes('3 left out')`)
	if name := eval[string](b, `document.querySelector('[name=name]').value`); name != "dropped" {
		t.Errorf("the name is not the folder's: %q", name)
	}
	b.fill("[name=environment]", "SIGN=!\n")
	b.fill("[name=tags]", "prod v1")
	b.fill("[name=timeout]", "60")
	b.wait(`document.querySelector('[name=runtime]').options.length > 2`) // the server has named them
	b.fill("[name=runtime]", "python311")
	b.fill("[name=network]", "*.example.org:443, 10.0.0.0/8")
	b.button(".deploy-foot", "Deploy")
	b.wait(`location.hash.startsWith('#/functions/d4e')`)
	if got := call(t, "/dropped?tag=prod"); got != "green!" {
		t.Errorf("answer: %s", got)
	}
	b.wait(`document.querySelector('.facts')`)
	facts := eval[string](b, `document.querySelector('.facts').textContent`)
	for _, want := range []string{"Runtimepython311", "Network*.example.org:443, 10.0.0.0/8"} {
		if !strings.Contains(facts, want) {
			t.Errorf("the facts are %s, want %s", facts, want)
		}
	}
}

func TestDeploy_ADroppedArchiveBecomesANewVersion(t *testing.T) {
	deployed(t, "zipped", []string{page1})
	path := filepath.Join(t.TempDir(), "zipped.zip")
	if err := os.WriteFile(path, archive(t, map[string]string{"app.py": strings.ReplaceAll(page1, "one", "two")}), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.open("#/deploy/zipped")
	b.drop(".drop", path)
	b.wait(`document.querySelector('.drop').innerText.includes('zipped.zip')`)
	b.fill("[name=entrypoint]", "app.handler")
	b.fill("[name=timeout]", "60")
	b.button(".deploy-foot", "Deploy")
	b.wait(`location.hash.startsWith('#/functions/d4e')`)
	if got := call(t, "/zipped"); got != "two" {
		t.Errorf("answer: %s", got)
	}
}

func TestDeploy_WhatIsWrongIsSaidBesideItsField(t *testing.T) {
	b := newTab(t, allowing("status of 404", "status of 400"))
	b.open("#/deploy")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('.drop .error')`)
	b.fill("[name=name]", "No Name")
	b.fill("[name=environment]", "no assignment")
	b.fill("[name=timeout]", "9999")
	b.fill("[name=tags]", "Über")
	b.drop(".drop", folder(t, "wrong", map[string]string{"app.py": page1}))
	b.wait(`document.querySelector('[name=entrypoint]').value === 'app.handler'`) // the only file
	b.fill("[name=entrypoint]", "main.handler")
	b.button(".deploy-foot", "Deploy")
	for field, want := range map[string]string{
		"name": "lower-case letters", "environment": "NAME=value", "timeout": "at most 3600", "tags": "lower-case", "entrypoint": "no main.py",
	} {
		b.wait(`document.querySelector('[name=` + field + `]').closest('.field').querySelector('.error')`)
		if got := eval[string](b, `document.querySelector('[name=`+field+`]').closest('.field').innerText`); !strings.Contains(got, want) {
			t.Errorf("%s: %s", field, got)
		}
	}
	// What only the server knows: names reserved by the system.
	b.fill("[name=name]", "wrong-env")
	b.fill("[name=environment]", "PATH=/bin")
	b.fill("[name=timeout]", "3")
	b.fill("[name=tags]", "")
	b.fill("[name=entrypoint]", "app.handler")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('[name=environment]').closest('.field').innerText.includes('reserved')`)
	b.fill("[name=environment]", "")
	b.fill("[name=network]", "http://example.org")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('[name=network]').closest('.field').innerText.includes('must be hosts')`)
	manage(t, http.MethodDelete, "/functions/wrong-env", nil)
}

func TestVersions_TagsMoveAndRollBack(t *testing.T) {
	deployed(t, "tagged", []string{page1, strings.ReplaceAll(page1, "one", "two")}, []string{"prod"})
	b := newTab(t)
	b.open("#/functions/tagged/versions")
	want := func(answer string) {
		t.Helper()
		if got := call(t, "/tagged?tag=prod"); got != answer {
			t.Errorf("prod answers %q, want %q", got, answer)
		}
	}
	want("one")
	b.button(".versions tbody tr:first-child", "Tag")
	b.fill("dialog input", "prod")
	b.wait(`document.querySelector('dialog [type=submit]').textContent === 'Move prod'`) // it says that the tag is elsewhere
	b.button("dialog", "Move prod")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.versions tbody tr:first-child').innerText.includes('prod')`)
	want("two")

	b.button(".tag-list", "Roll back prod")
	b.wait(`document.querySelector('dialog').innerText.includes('Back to')`)
	want("two") // nothing happens before it is confirmed
	b.button("dialog", "Roll back")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.versions tbody tr:last-child').innerText.includes('prod')`)
	want("one")

	// And the newest: another version with the same code.
	b.button(".versions tbody tr:last-child", "Make newest")
	b.button("dialog", "Make it the newest")
	b.wait(`!document.querySelector('dialog') && document.querySelectorAll('.versions tbody tr').length === 3`)
	if got := call(t, "/tagged"); got != "one" {
		t.Errorf("the newest answers %q", got)
	}
	b.button(".versions", "Remove the tag prod")
	b.button("dialog", "Remove")
	b.wait(`!document.querySelector('dialog') && !document.querySelector('.versions').innerText.includes('prod')`)
	if got := call(t, "/tagged?tag=prod"); !strings.Contains(got, "Not Found") {
		t.Errorf("prod answers %q", got)
	}
}

func TestFunction_CodeIsShownFileByFile(t *testing.T) {
	deployed(t, "readable", []string{page1})
	b := newTab(t)
	b.open("#/functions/readable/code")
	b.wait(`document.querySelector('.code-view .editor')?.shadowRoot?.textContent.includes('one was called')`)
	b.button(".files nav", "lib/words.py")
	b.wait(`document.querySelector('.code-view .editor')?.shadowRoot?.textContent.includes('green')`)
}

func TestFunction_ATestCallShowsAnswersAndErrors(t *testing.T) {
	deployed(t, "tested", []string{"def handler(event, context):\n    return {'body': 'asked by ' + event['queryStringParameters']['name']}\n"})
	b := newTab(t, allowing("status of 502"))
	b.open("#/functions/tested/test")
	b.button(".test", "Call")
	b.wait(`document.querySelector('.test .answer')`)
	if got := b.text(".test .answer"); !strings.Contains(got, "200 OK") || !strings.Contains(got, "asked by Ann") {
		t.Errorf("answer: %s", got)
	}
	b.fill(".request-line input", "")
	b.button(".test", "Call")
	b.wait(`document.querySelector('.test .trace')`)
	if got := b.text(".test .answer"); !strings.Contains(got, "KeyError: 'name'") || !strings.Contains(got, "main.py") {
		t.Errorf("answer: %s", got)
	}
}

func TestFunction_TheLogFollowsAndIsSearched(t *testing.T) {
	deployed(t, "talking", []string{`import json
def handler(event, context):
    print('said', event['queryStringParameters']['n'])
    print(json.dumps({'level': 'ERROR', 'message': 'bad ' + event['queryStringParameters']['n'], 'size': 5}))
    return {}
`})
	call(t, "/talking?n=before")
	b := newTab(t)
	b.open("#/functions/talking/logs")
	// A call is a row: its worst line, and the others when it is opened.
	b.wait(`document.querySelectorAll('.log-call.worst-error').length === 1 && document.querySelector('.log-took').textContent.endsWith(' ms')`)
	if got := b.text(".log-call"); !strings.Contains(got, "ERROR") || !strings.Contains(got, "bad before") || !strings.Contains(got, "2 lines") ||
		strings.Contains(got, "said before") || strings.Contains(got, "REPORT") {
		t.Errorf("the call is %s", got)
	}
	b.button(".log-call", "▸")
	b.wait(`document.querySelector('.log-call-body')?.innerText.includes('said before') && !document.querySelector('.log-call-body').innerText.includes('REPORT')`)
	b.button(".log-call", "The platform’s 3 lines")
	b.wait(`document.querySelector('.log-call-body').innerText.includes('REPORT')`)
	call(t, "/talking?n=after")
	b.wait(`document.querySelectorAll('.log-call').length === 2 && document.querySelector('.log-call-body').innerText.includes('said before')`) // it stays open
	b.button(".log-call", "Find this call")
	b.wait(`document.querySelector('.call-facts') && document.querySelector('.call .log').textContent.includes('said before')`)
	b.open("#/functions/talking/logs")
	b.button(".logs", "Lines")
	b.wait(`document.querySelector('.logs .log').textContent.includes('said before') && document.querySelector('.logs .log').textContent.includes('said after')`)
	b.fill(".logs select", "ERROR")
	b.wait(`(() => { const l = document.querySelector('.logs .log').textContent; return l.includes('bad after') && l.includes('{"size":5}') && !l.includes('said'); })()`)
	b.button(".logs", "Calls")
	b.fill(".logs [type=search]", "bad before") // what is sought is shown open
	b.wait(`(() => { const l = document.querySelector('.logs .log').textContent; return l.includes('bad before') && l.includes('{"size":5}') && !l.includes('after'); })()`)
}

func TestFunction_FiguresCountCalls(t *testing.T) {
	id := deployed(t, "counted", []string{page1})
	for range 3 {
		call(t, "/counted")
	}
	b := newTab(t)
	b.open("#/functions")
	row := `document.querySelector('a[href="#/functions/` + id + `"]').closest('tr')`
	b.wait(row + `?.querySelector('[data-label=Calls]')?.innerText === '3'`)
	if label := eval[string](b, row+`.querySelector('svg[role=img]').getAttribute('aria-label')`); !strings.Contains(label, "calls: now") {
		t.Errorf("the chart's label is %q", label)
	}
	b.open("#/functions/counted")
	b.wait(`document.querySelectorAll('.charts svg .line').length > 0`)
	if got := b.text(".settings"); !strings.Contains(got, "main.handler") || !strings.Contains(got, "GREETING=<b>hello</b>") {
		t.Errorf("settings: %s", got)
	}
}

// Functions that fail come first, and charts have one scale; a column sorts them otherwise.
func TestFunctions_FailingOnesComeFirst(t *testing.T) {
	busy := deployed(t, "aa-busy", []string{page1})
	deployed(t, "bb-idle", []string{page1})
	failing := deployed(t, "zz-failing", []string{"def handler(event, context):\n    raise ValueError\n"})
	for range 6 {
		call(t, "/aa-busy")
	}
	call(t, "/zz-failing")
	b := newTab(t)
	b.open("#/functions")
	order := `[...document.querySelectorAll('.functions tbody th a')].map((e) => e.textContent).filter((n) => /^(aa|bb|zz)-/.test(n)).join()`
	b.wait(order + ` === 'zz-failing,aa-busy,bb-idle' && document.querySelector('.functions tbody tr').classList.contains('failing')`)
	height := func(id string) float64 {
		return eval[float64](b, `Math.min(...[...document.querySelector('a[href="#/functions/`+id+`"]').closest('tr').querySelectorAll('.line')].flatMap((l) => l.getAttribute('points').split(' ').map((p) => +p.split(',')[1])))`)
	}
	b.wait(`document.querySelector('a[href="#/functions/` + busy + `"]').closest('tr').querySelector('.line')`)
	if height(busy) >= height(failing) {
		t.Errorf("one call is drawn as high as six: %v, %v", height(failing), height(busy))
	}
	if got := eval[string](b, `document.querySelector('a[href="#/functions/`+busy+`"]').closest('tr').querySelector('[data-label=Errors]').className`); !strings.Contains(got, "zero") {
		t.Errorf("no errors look like %s", got)
	}
	b.button(".functions thead", "Name")
	b.wait(order + ` === 'aa-busy,bb-idle,zz-failing' && document.querySelector('[aria-sort=ascending]').textContent.includes('Name')`)
	b.button(".functions thead", "Name")
	b.wait(order + ` === 'zz-failing,bb-idle,aa-busy'`)
	b.button(".functions thead", "Calls")
	b.wait(order + ` === 'aa-busy,zz-failing,bb-idle'`)
	eval[bool](b, `(document.querySelector('a[href="#/functions/`+busy+`"]').closest('tr').querySelector('[data-label=Memory]').click(), true)`)
	b.wait(`location.hash === '#/functions/` + busy + `'`)
}

func TestFunction_IsDeletedOnlyWhenItsNameIsTyped(t *testing.T) {
	deployed(t, "doomed", []string{page1})
	b := newTab(t, allowing("status of 404"))
	b.open("#/functions/doomed")
	b.button(".page-head", "Delete")
	b.button("dialog", "Delete for good")
	b.wait(`document.querySelector('dialog .notice')?.innerText.includes('Type doomed')`)
	if got := call(t, "/doomed"); got != "one" {
		t.Errorf("answer: %s", got)
	}
	b.fill("dialog input", "doomed")
	b.button("dialog", "Delete for good")
	b.wait(`location.hash === '#/functions' && !document.querySelector('dialog')`)
	if got := call(t, "/doomed"); !strings.Contains(got, "Not Found") {
		t.Errorf("answer: %s", got)
	}
}
