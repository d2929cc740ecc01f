//go:build pictures

package console_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// pastMinutes fills the pages with an hour's worth of figures.
const pastMinutes = `
const really = window.fetch;
window.fetch = async (path, init) => {
	const answer = await really(path, init);
	if (!String(path).includes(':figures') || !answer.ok) return answer;
	const figures = await answer.json();
	(figures.functions ?? [figures]).forEach((f, which) => {
		const n = figures.functions ? 30 : 60;
		f.points = Array.from({ length: n }, (_, i) => {
			const wave = 1 + Math.sin(i / 5 + which) * 0.6 + Math.sin(i * 1.7 + which) * 0.25;
			const calls = Math.max(0, Math.round(wave * [42, 18, 7, 3][which % 4]));
			return {
				time: '', calls, errors: which === 1 && i % 11 === 5 ? 3 : 0, p50MS: 2.1 + wave, p99MS: 7 + 4 * wave + (i % 13 === 4 ? 9 : 0),
				idle: 3 - Math.round(wave), busy: Math.round(wave * 1.4), memory: (24 + 9 * wave) * 1048576,
			};
		});
		f.calls = f.points.reduce((sum, p) => sum + p.calls, 0);
		f.errors = f.points.reduce((sum, p) => sum + p.errors, 0);
		Object.assign(f, { p50MS: 2.4 + which, p99MS: 11.8 + 5 * which, idle: 2, busy: which % 3, memory: f.points.at(-1).memory });
	});
	return new Response(JSON.stringify(figures), { headers: { 'Content-Type': 'application/json' } });
};`

// TestPictures takes pictures of each page in both themes, wide and narrow. It
// tests nothing, so it is built only for go tool task screenshots.
func TestPictures(t *testing.T) {
	const dir = "screenshots"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, description := range map[string]string{
		"thumbnails": "Small pictures of what is uploaded", "orders": "Takes what the shop sends", "greeter": "Says hello", "nightly": "Counts, each night",
	} {
		deployed(t, name, []string{page1, strings.ReplaceAll(page1, "one", "two")}, []string{"v1", "prod"}, []string{"v2"})
		manage(t, http.MethodPatch, "/functions/"+name, map[string]string{"description": description})
	}
	for range 4 {
		call(t, "/greeter")
	}
	pages := []struct {
		name, fragment, ready string
		prepare               func(*tab)
	}{
		{"play", "#/play", ".figures", func(b *tab) { b.run(); b.run() }},
		{"profile", "#/play", ".flame-frame", func(b *tab) { b.code(lingers); b.check("profile"); b.run() }},
		{"error", "#/play", ".trace", func(b *tab) { b.choose("error"); b.run() }},
		{"functions", "#/functions", ".functions tbody svg", nil},
		{"function", "#/functions/greeter", ".charts", nil},
		{"versions", "#/functions/greeter/versions", ".tag-list", nil},
		{"code", "#/functions/greeter/code", ".files .editor", nil},
		{"compare", "#/functions/greeter", ".compare .diff", func(b *tab) { b.button(`[aria-label="Newest versions"]`, "v2") }},
		{"calls", "#/functions/greeter/calls", ".call-list tbody tr", nil},
		{"call", "#/functions/greeter/calls", ".call .event", func(b *tab) { b.button(".call-list", "") }},
		{"test", "#/functions/greeter/test", ".test .answer", func(b *tab) { b.button(".test", "Call") }},
		{"logs", "#/functions/greeter/logs", ".log-call", nil},
		{"deploy", "#/deploy", ".drop", nil},
		{"events", "#/events", "main :is(table, .empty)", nil},
		{"tenants", "#/tenants", "main :is(table, .empty)", nil},
		{"keys", "#/keys", "main :is(table, .empty, .notice)", nil},
	}
	for _, theme := range []string{"light", "dark"} {
		for _, size := range []struct {
			name          string
			width, height int64
		}{{"", 1280, 800}, {"-narrow", 390, 844}} {
			b := newTab(t)
			b.onNewDocument(pastMinutes)
			b.look(theme, size.width, size.height)
			for _, p := range pages {
				if size.name != "" && p.name != "play" && p.name != "functions" && p.name != "function" {
					continue // the others have nothing of their own there
				}
				b.open(p.fragment)
				if p.prepare != nil {
					p.prepare(b)
				}
				b.wait(`document.querySelector("` + p.ready + `")`)
				save(t, filepath.Join(dir, p.name+"-"+theme+size.name+".png"), b.screenshot())
			}
		}
	}
}

// save writes a picture with its 256 most frequent colours, which for a page of
// text look the same, at a third of the bytes.
func save(t *testing.T, path string, data []byte) {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.Color]int{}
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[full.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	small := image.NewPaletted(bounds, colors[:min(len(colors), 256)])
	draw.Draw(small, bounds, full, image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// screenshot returns what is visible.
func (b *tab) screenshot() []byte {
	b.t.Helper()
	image, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return image
}
