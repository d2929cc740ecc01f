package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Every page is a few keys away, from wherever one is.
func TestPalette_GoesWhereItIsTold(t *testing.T) {
	deployed(t, "alpha-orders", []string{page1})
	deployed(t, "alpha-prices", []string{page1})
	b := newTab(t)
	b.open("#/play")
	b.wait(`document.querySelector('.code .editor').shadowRoot.querySelector('.cm-content')`)
	eval[bool](b, `(document.querySelector('.code .editor').shadowRoot.querySelector('.cm-content').focus(), true)`)
	open := func() {
		t.Helper()
		b.do(chromedp.KeyEvent("k", chromedp.KeyModifiers(2))) // Ctrl
		b.wait(`document.activeElement === document.querySelector('dialog [type=search]')`)
	}
	chosen := `document.querySelector('[role=option][aria-selected=true]')`
	open()
	b.wait(`[...document.querySelectorAll('[role=option]')].some((e) => e.textContent.includes('alpha-orders'))`)
	b.fill("dialog [type=search]", "orders logs")
	b.wait(chosen + `?.textContent.includes('alpha-orders: Logs')`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(`!document.querySelector('dialog') && location.hash === '#/functions/alpha-orders/logs' && document.querySelector('.logs')`)
	open() // pages of the function that is open come first
	b.wait(chosen + `?.textContent.includes('alpha-orders: Calls')`)
	b.do(chromedp.KeyEvent(kb.ArrowUp))
	b.wait(chosen + ` === [...document.querySelectorAll('[role=option]')].at(-1)`)
	b.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	b.wait(chosen + `.textContent.includes('alpha-orders: Code') && document.querySelector('[role=combobox]').getAttribute('aria-activedescendant') === ` + chosen + `.id`)
	b.fill("dialog [type=search]", "no such thing")
	b.wait(`document.querySelector('dialog').innerText.includes('Nothing has these words')`)
	b.fill("dialog [type=search]", "playground")
	b.wait(chosen)
	eval[bool](b, `(`+chosen+`.click(), true)`)
	b.wait(`!document.querySelector('dialog') && location.hash === '#/play'`)
	open()
	b.do(pressEscape)
	b.wait(`!document.querySelector('dialog')`)
}
