package console_test

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vivarium/host"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/cli"
	"vivarium/web/console"
)

// The server wants the first key from the moment it is made, so nothing but the
// visitor's word may take it off the page, and this tab has it at once.
func TestKeys_TheFirstIsNotLost(t *testing.T) {
	h, err := host.New(host.Config{Engines: shared.engines, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	management := api.New(api.Config{Host: h, Logger: quiet})
	server := httptest.NewServer(web.New(web.Config{Management: management, Console: console.Handler(), Keys: h.Keys(), Logger: quiet}, h))
	t.Cleanup(server.Close)
	b := newTab(t)
	b.url = server.URL
	b.open("#/keys")
	b.wait(`document.body.innerText.includes('Anyone who can reach this server may do everything')`)
	b.button(".page-head", "New key")
	b.button("dialog", "Create the key")
	b.wait(`document.querySelector('.secret')?.innerText.includes('viv_')`)
	b.wait(`document.querySelector('.who')?.innerText.includes('all tenants') && !document.body.innerText.includes('may do everything')`)
	b.do(pressEscape, pressEscape, pressEscape, chromedp.MouseClickXY(5, 5))
	if !eval[bool](b, `document.querySelector('dialog:modal .secret').innerText.includes('viv_')`) {
		t.Fatal("the secret is gone")
	}
	if eval[bool](b, `![...document.querySelectorAll('dialog button')].find((e) => e.textContent === 'I have it').disabled`) {
		t.Error("the dialog can be left before the secret was copied")
	}
	b.button("dialog", "Copy the key")
	b.button("dialog", "I have it")
	b.wait(`!document.querySelector('dialog') && document.querySelector('tbody').innerText.includes('admin')`)
	b.open("#/functions")
	b.wait(`document.querySelector('main').innerText.includes('function')`)
	if got := b.text("dialog"); got != "" {
		t.Errorf("the page requires a key: %s", got)
	}
}

func TestPlay_AsksForNoKey(t *testing.T) {
	_, h, _ := guarded(t)
	play, err := web.NewPlay(web.PlayConfig{}, h.Runner())
	if err != nil {
		t.Fatal(err)
	}
	management := api.New(api.Config{Host: h, Logger: quiet})
	server := httptest.NewServer(web.New(web.Config{
		Management: management, Play: play, Console: console.Handler(), Keys: h.Keys(), Logger: quiet,
	}, h))
	t.Cleanup(server.Close)
	b := newTab(t, allowing("status of 401"))
	b.url = server.URL
	b.open("#/play")
	b.wait(`document.querySelector('.who')?.innerText.includes('Enter a key')`)
	b.run()
	if got := b.text("dialog") + b.text(answer); strings.Contains(got, "key") || !strings.Contains(got, "200 OK") {
		t.Errorf("got %s", got)
	}
	b.button("nav", "Functions")
	b.wait(`document.querySelector('dialog')?.innerText.includes('requires a key')`)
}

func TestPlay_WhatCantBeReadIsNotRun(t *testing.T) {
	deployed(t, "readable", []string{page1})
	b := newTab(t)
	for page, press := range map[string]func(){
		"#/play":                    func() { b.button(".toolbar", "Run") },
		"#/functions/readable/test": func() { b.button(".test", "Call") },
	} {
		b.open(page)
		b.button(".event", "JSON")
		for text, want := range map[string]string{`{"method": "GET",`: "Expected double-quoted", `null`: "it must be an object"} {
			b.paste(".event .editor", text)
			b.wait(`document.querySelector('.event').innerText.includes("` + want + `")`) // it is what the button is pressed for
			press()
			b.wait(`document.querySelector('.result .notice')?.innerText.includes("` + want + `") && !document.querySelector('.result .answer')`)
		}
		b.paste(".event .editor", `{"method": "GET"}`)
		press()
		b.wait(`document.querySelector('.result .answer') && !document.querySelector('.result .notice')`)
		b.button(".event", "Raw")
		b.paste(".event .editor", `{`)
		press()
		b.wait(`document.querySelector('.result .notice')?.innerText.includes("The event is not JSON") && !document.querySelector('.result .answer')`)
	}
}

func TestPlay_AnErrorIsToldWhereItIs(t *testing.T) {
	b := newTab(t)
	b.open("#/play")
	b.code("def handler(event, context):\n    print('before')\n    return 1 / 0\n\n# the end\n")
	b.run()
	b.wait(markedLine)
	got := b.text(answer)
	if !strings.Contains(got, `main.py", line 3`) || strings.Contains(got, "/function/runtime/") {
		t.Errorf("the traceback is\n%s", got)
	}
	if log := b.log(); strings.Contains(log, "ZeroDivisionError") || !strings.Contains(log, "before") {
		t.Errorf("the code's own lines are %s", log)
	}
	b.button(".output", "All")
	b.wait(`document.querySelector('.output .log').textContent.includes('ZeroDivisionError')`)
	// Each number stands beside its line.
	off := eval[float64](b, `(() => {
		const root = document.querySelector('.code .editor').shadowRoot;
		const top = (e) => e.getBoundingClientRect().top;
		const numbers = [...root.querySelectorAll('.cm-lineNumbers .cm-gutterElement')].filter((e) => e.style.visibility !== 'hidden' && getComputedStyle(e).visibility !== 'hidden');
		const lines = [...root.querySelectorAll('.cm-line')];
		return Math.max(...lines.map((line, i) => Math.abs(top(line) - top(numbers.find((e) => e.textContent === String(i + 1))))));
	})()`)
	if off > 1 {
		t.Errorf("line numbers are up to %v px beside their lines", off)
	}
	// Each colour in the legend is one of a bar.
	if extra := eval[[]string](b, `[...document.querySelectorAll('.figures .key')].map((e) => e.className.replace('key ', '')).filter((c) => !document.querySelector('.figures rect.' + c))`); len(extra) > 0 {
		t.Errorf("the legend explains %v, which no bar has", extra)
	}
}

func TestLogs_FindTextAndSayWhatIsMissing(t *testing.T) {
	deployed(t, "sought", []string{page1})
	b := newTab(t)
	b.open("#/functions/sought/logs")
	b.wait(`document.querySelector('.logs .log').textContent.includes('Call the function')`)
	call(t, "/sought")
	b.wait(`document.querySelector('.logs .log').textContent.includes('one was called')`)
	b.fill(".logs [type=search]", "ONE WAS")
	b.wait(`document.querySelectorAll('.logs .log-line').length === 1 && document.querySelector('.logs .log').textContent.includes('one was called')`)
	b.fill(".logs [type=search]", "nowhere")
	b.wait(`document.querySelector('.logs .log').textContent === 'No entry matches.'`)
}

func TestDeploy_WhatIsRightIsNotRed(t *testing.T) {
	b := newTab(t)
	b.look("light", 390, 800)
	b.open("#/deploy")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('.field.wrong [name=name]')`)
	b.fill("[name=name]", "fine")
	b.wait(`!document.querySelector('.field.wrong')`)
	b.drop(".drop", folder(t, "listed", map[string]string{"index.py": page1, "helper.py": "", "requirements.txt": "httpx\n"}))
	b.wait(`document.querySelector('[name=entrypoint]').value === 'index.handler' && document.querySelector('.drop').innerText.includes('vivarium deploy')`)
	if cut := eval[[]string](b, `[...document.querySelectorAll('main button')].filter((e) => { const r = e.getBoundingClientRect(), p = e.closest('.drop, .deploy').getBoundingClientRect(); return r.right > p.right || r.left < p.left || e.scrollWidth > e.clientWidth + 1; }).map((e) => e.innerText)`); len(cut) > 0 {
		t.Errorf("cut off at 390 px: %v", cut)
	}
}

func TestCode_ItsArchiveIsInReachInANarrowWindow(t *testing.T) {
	deployed(t, "narrow", []string{page1}, []string{"production", "staging", "customers-of-the-north", "v1-2-3"})
	b := newTab(t)
	b.look("light", 390, 800)
	b.open("#/functions/narrow/code")
	b.wait(`document.querySelector('.code-view a[download]')`)
	if right := eval[float64](b, `document.querySelector('.code-view a[download]').getBoundingClientRect().right`); right > 390 {
		t.Errorf("the link to the archive ends at %v px of 390", right)
	}
}

func TestDeploy_RefusedCodeIsShownWithItsTraceback(t *testing.T) {
	b := newTab(t, allowing("status of 404", "status of 400"))
	b.open("#/deploy")
	b.drop(".drop", folder(t, "unloadable", map[string]string{"main.py": "import datetme\n\ndef handler(event, context):\n    pass\n"}))
	b.wait(`document.querySelector('.drop').innerText.includes('1 file')`)
	b.fill("[name=timeout]", "60")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('.broken')?.innerText.includes("No module named 'datetme'")`)
	if got := b.text(".broken"); !strings.Contains(got, `main.py", line 1`) {
		t.Errorf("got %s", got)
	}
	b.button(".broken", "Deploy it anyway")
	b.wait(`location.hash.startsWith('#/functions/d4e')`)
	if got := call(t, "/unloadable"); !strings.Contains(got, "ModuleNotFoundError") {
		t.Errorf("got %s", got)
	}
}

// The page and the command line leave out the same of a folder, and the same secrets
// of an archive.
func TestDeploy_LeavesOutWhatTheCommandLineDoes(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"
	files := map[string]string{
		"main.py": page1, ".vivariumignore": "\ufeff# tests\r\n*.log\n!keep.log\n/docs\ntests/\n**/big/*.csv\nt[0-9]?.bin\n!.well-known/\n!mine.pem\n\\#x\n",
		".env": "A=1\n", ".env.local": "A=1\n", ".env.example": "A=\n", "server.pem": key, "mine.pem": key, "root.pem": "CERTIFICATE\n",
		"lib/store.p12": "x", ".python-version": "3.13", "a.log": "x", "lib/keep.log": "x", "docs/a.md": "x", "lib/docs/a.md": "x",
		"tests/test.py": "x", "lib/tests/test.py": "x", "lib/big/a.csv": "x", "lib/big/a.txt": "x", "t1x.bin": "x", "tax.bin": "x",
		".well-known/a": "x", ".git/config": "x", "__pycache__/a.pyc": "x", "node_modules/a.js": "x", "env/pyvenv.cfg": "", "env/a.py": "x", "#x": "x",
	}
	dir := folder(t, "alike", files)
	zipped := filepath.Join(t.TempDir(), "alike.zip")
	if err := os.WriteFile(zipped, archive(t, files), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newTab(t, allowing("status of 404"))
	for _, path := range []string{dir, zipped} {
		b.open("#/deploy/alike")
		b.drop(".drop", path)
		b.wait(`document.querySelector('.drop').innerText.includes('may contain secrets')`)
		if got := b.text(".drop"); !strings.Contains(got, ".env, .env.local, lib/store.p12, server.pem.") {
			t.Errorf("the secrets are not named: %s", got)
		}
		b.fill("[name=timeout]", "60")
		b.button(".deploy-foot", "Deploy")
		b.wait(`location.hash.startsWith('#/functions/d4e')`)
		page := packed(t)
		var out, messages bytes.Buffer
		if code := cli.Run(t.Context(), []string{"deploy", "alike", path, "--server", shared.url, "--timeout", "60s"}, strings.NewReader(""), &out, &messages); code != cli.ExitOK {
			t.Fatalf("exit code %d: %s", code, messages.String())
		}
		if line := packed(t); !slices.Equal(page, line) {
			t.Errorf("%s: the page has sent\n%q, the command line\n%q", path, page, line)
		}
	}
}

// packed returns the names in the archive of the newest version of a function.
func packed(t *testing.T) (names []string) {
	t.Helper()
	id := manage(t, "GET", "/versions:byTag?functionId=alike", nil)["id"].(string)
	body, err := io.ReadAll(get(t, "/functions/v1/versions/"+id+":download", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}
