package console_test

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// drag moves the mouse with its button held down, from the middle of what a selector finds.
func (b *tab) drag(selector string, dx, dy float64) {
	b.t.Helper()
	at := eval[[]float64](b, `(() => { const r = document.querySelector("`+selector+`").getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, e := range []input.DispatchMouseEventParams{
			{Type: input.DispatchMouseEventTypeMousePressed, X: at[0], Y: at[1], Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1},
			{Type: input.DispatchMouseEventTypeMouseMoved, X: at[0] + dx, Y: at[1] + dy, Button: input.MouseButtonLeft, Buttons: 1},
			{Type: input.DispatchMouseEventTypeMouseReleased, X: at[0] + dx, Y: at[1] + dy, Button: input.MouseButtonLeft, ClickCount: 1},
			{Type: input.DispatchMouseEventTypeMouseMoved, X: at[0], Y: at[1]},
		} {
			if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, e); err != nil {
				return err
			}
		}
		return nil
	}))
}

// The panes are as wide and high as the visitor likes, also the next time, and none vanishes.
func TestPlay_PanesShareTheRoomAsTheVisitorLikes(t *testing.T) {
	b := newTab(t)
	b.look("light", 1200, 800)
	b.open("#/play")
	size := func(side string) float64 {
		t.Helper()
		return eval[float64](b, `document.querySelector('.bench > .code').getBoundingClientRect().`+side)
	}
	share := func(bar string) string {
		t.Helper()
		return eval[string](b, `document.querySelector('`+bar+`').getAttribute('aria-valuenow')`)
	}
	const upright, level = ".splitter.upright", ".splitter:not(.upright)"
	wide, high := size("width"), size("height")
	b.drag(upright, 150, 0)
	b.drag(level, 0, -80)
	if w, h := size("width"), size("height"); w < wide+130 || w > wide+170 || h > high-65 || h < high-95 {
		t.Errorf("dragged by 150 and -80: %v by %v, from %v by %v", w, h, wide, high)
	}
	wide, high = size("width"), size("height")
	b.open("#/play")
	if w, h := size("width"), size("height"); w != wide || h != high {
		t.Errorf("loaded again: %v by %v, want %v by %v", w, h, wide, high)
	}
	b.drag(upright, -2000, 0)
	b.drag(level, 0, 2000)
	if w, h := share(upright), share(level); w != "20" || h != "80" {
		t.Errorf("dragged out of the window: %s %% and %s %%", w, h)
	}
	b.do(chromedp.Focus(upright), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowUp))
	b.do(chromedp.Focus(level), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.ArrowLeft))
	if w, h := share(upright), share(level); w != "22" || h != "76" {
		t.Errorf("with the arrow keys: %s %% and %s %%", w, h)
	}
	b.do(chromedp.KeyEvent(kb.Home))
	if h := share(level); h != "20" {
		t.Errorf("with Home: %s %%", h)
	}
	b.do(chromedp.DoubleClick(upright))
	if w := share(upright); w != "52" {
		t.Errorf("after a double click: %s %%", w)
	}
	b.look("light", 390, 800)
	if n := eval[int](b, `[...document.querySelectorAll('.splitter')].filter((e) => e.offsetParent).length`); n != 0 {
		t.Errorf("%d bars where panes are below each other", n)
	}
}
