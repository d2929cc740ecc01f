package console_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestAccessibility checks each page with axe, in both themes, wide and narrow:
// no serious or critical violation may pass.
func TestAccessibility(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	deployed(t, "seen", []string{page1, page1}, []string{"prod"})
	call(t, "/seen")
	failing := deployed(t, "seen-failing", nil)
	async(t, failing, picky)
	manage(t, http.MethodPost, "/timers", map[string]string{"name": "seen", "functionId": "seen-failing", "cronExpression": "@hourly", "payload": "fine"})
	if answer, err := http.Post(shared.url+"/seen-failing?integration=async", "text/plain", strings.NewReader("order")); err != nil {
		t.Fatal(err)
	} else {
		answer.Body.Close()
	}
	nodes, _ := inCluster(t)
	for _, theme := range []string{"light", "dark"} {
		b := newTab(t, allowing("status of 400"))
		for _, p := range []struct {
			name, fragment, ready string
			prepare               func(*tab)
		}{
			{"play", "#/play", ".welcome", nil},
			{"answer", "#/play", ".figures", func(b *tab) { b.run() }},
			{"error", "#/play", ".trace", func(b *tab) { b.choose("error"); b.run() }},
			{"preview", "#/play", "iframe.preview[aria-busy=false]", func(b *tab) {
				b.choose("http")
				b.run()
				b.button(".body", "Preview")
			}},
			{"profile", "#/play", ".flame-frame", func(b *tab) { b.paste(".code .editor", lingers); b.check("profile"); b.run() }},
			{"raw", "#/play", ".event .editor", func(b *tab) { b.choose("raw"); b.run() }},
			{"functions", "#/functions", ".functions tbody tr", nil},
			{"overview", "#/functions/seen", ".charts", nil},
			{"settings", "#/functions/seen", "dialog .field", func(b *tab) { b.button(".settings", "Edit") }},
			{"calls", "#/functions/seen/calls", ".call-list tbody tr", nil},
			{"call", "#/functions/seen/calls", ".again", func(b *tab) {
				b.button(".call-list", "")
				b.button(".call .event", "Replay")
			}},
			{"code", "#/functions/seen/code", ".files .editor", nil},
			{"compare", "#/functions/seen/code", ".compare .empty", func(b *tab) {
				b.wait(`document.querySelector('[name=than]')?.options[1]`)
				b.fill("[name=than]", eval[string](b, `document.querySelector('[name=than]').options[1].value`))
			}},
			{"edits", "#/functions/seen/code", "dialog .field", func(b *tab) {
				b.wait(`document.querySelector('.files .editor')`)
				b.paste(codeEditor, "def handler(event, context): pass\n")
				b.button(".code-view", "Deploy edits")
			}},
			{"deploying", "#/play", "dialog .notice.bad", func(b *tab) { b.button(".toolbar", "Deploy"); b.button("dialog", "Deploy") }},
			{"versions", "#/functions/seen/versions", ".tag-list", nil},
			{"dialog", "#/functions/seen/versions", "dialog .field", func(b *tab) { b.button(".versions", "Tag") }},
			{"test", "#/functions/seen/test", ".answer", func(b *tab) { b.button(".test", "Call") }},
			{"logs", "#/functions/seen/logs", ".log-call-body", func(b *tab) { b.button(".log-call", "▸") }},
			{"tenants", "#/tenants", "tbody tr", nil},
			{"tenant", "#/tenants/default", "tbody tr", nil},
			{"limit", "#/tenants/default", "dialog .field", func(b *tab) { b.button("tbody", "Change the limit of Timers") }},
			{"ceiling", "#/tenants/default", "dialog textarea", func(b *tab) { b.button(".facts", "Change"); b.button("dialog", "Only") }},
			{"events", "#/events", ".letters tbody tr", func(b *tab) { b.wait(`document.querySelector('.timers tbody tr')`) }},
			{"timer", "#/functions/seen-failing/events", "dialog .notice.bad", func(b *tab) {
				b.button(".timers", "New timer")
				b.fill("dialog [name=name]", "never")
				b.fill("dialog [name=cron]", "never")
				b.button("dialog", "Create the timer")
			}},
			{"letter", "#/functions/seen-failing/events", "dialog pre", func(b *tab) { b.button(".letters", "Show") }},
			{"public", "#/functions/seen", "dialog", func(b *tab) { b.button(".access", "Make public") }},
			{"nodes", "#/nodes", ".nodes tbody tr", nil},
			{"keys", "#/keys", ".page-head .primary", nil},
			{"palette", "#/functions/seen", "[role=option]", func(b *tab) { b.button(".top", "Go to") }},
			{"deploy", "#/deploy", ".drop .error", func(b *tab) { b.button(".deploy-foot", "Deploy") }},
		} {
			t.Run(theme+" "+p.name, func(t *testing.T) {
				b.t = t
				b.look(theme, 1280, 800)
				if slices.Contains([]string{"overview", "palette", "settings", "play", "preview", "profile", "compare", "edits", "logs", "functions", "calls", "call", "tenants", "tenant", "ceiling", "events", "letter", "nodes"}, p.name) {
					b.look(theme, 360, 780)
				}
				b.url = map[bool]string{true: nodes, false: shared.url}[p.name == "nodes"]
				b.open(p.fragment)
				if p.prepare != nil {
					p.prepare(b)
				}
				b.wait(`document.querySelector("` + p.ready + `")`)
				eval[bool](b, string(axe)+"; true")
				violations := eval[[]string](b, `axe.run({ resultTypes: ['violations'] }).then((r) => r.violations
					.filter((v) => ['serious', 'critical'].includes(v.impact))
					.map((v) => v.id + ': ' + v.help + '\n    ' + v.nodes.slice(0, 4).map((n) => n.target.join(' ') + '\n      ' + n.failureSummary).join('\n    ')))`)
				if len(violations) > 0 {
					t.Error(strings.Join(violations, "\n"))
				}
				if wide := eval[float64](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
					t.Errorf("the page is %v pixels wider than the window", wide)
				}
			})
		}
		b.t = t
	}
}

// Everything is reachable without a mouse, with visible focus, and changes are
// announced.
func TestKeyboard_FocusGoesAlong(t *testing.T) {
	deployed(t, "focused", []string{page1})
	b := newTab(t)
	b.open("#/play")
	b.button("header", "Functions")
	b.wait(`document.activeElement?.tagName === 'H1' && document.activeElement.textContent === 'Functions'`)
	b.open("#/functions/focused/versions")
	b.wait(`document.querySelector('.versions tbody tr')`)
	opener := `[...document.querySelectorAll('.versions button')].find((e) => e.textContent.trim() === 'Tag')`
	eval[bool](b, `(`+opener+`.focus(), `+opener+`.click(), true)`)
	b.wait(`document.activeElement === document.querySelector('dialog input')`)
	b.do(pressEscape)
	b.wait(`!document.querySelector('dialog') && document.activeElement === ` + opener)

	b.open("#/play")
	b.run()
	b.wait(`document.querySelector('.play > [role=status]').textContent.startsWith('Answered 200 in')`)
	// Tab would be typed into the code; after Escape it isn't.
	eval[bool](b, `(document.querySelector('.code .editor').shadowRoot.querySelector('.cm-content').focus(), true)`)
	b.do(pressEscape, pressTab)
	b.wait(`!document.activeElement.matches('.code .editor')`)
}
