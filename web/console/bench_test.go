package console_test

import (
	"slices"
	"strings"
	"testing"
)

// BenchmarkConsole measures, as the browser sees it, a page's first paint with what is
// cached, and how long after a click what was asked for is there.
func BenchmarkConsole(b *testing.B) {
	deployed(b, "measured", []string{page1, strings.ReplaceAll(page1, "one", "two")}, []string{"prod"})
	page := newTab(b)
	var paint, answer []float64
	for b.Loop() {
		page.open("#/functions/measured")
		page.wait(`document.querySelector('.settings') && performance.getEntriesByName('first-contentful-paint').length`)
		paint = append(paint, eval[float64](page, `performance.getEntriesByName('first-contentful-paint')[0].startTime`))
		for _, part := range [][2]string{{"Calls", ".calls .empty"}, {"Code", ".code-view .editor"}, {"Versions", ".versions tbody tr"}, {"Overview", ".settings"}} {
			answer = append(answer, eval[float64](page, `new Promise((done) => {
				const start = performance.now();
				const look = () => document.querySelector('`+part[1]+`') && (watch.disconnect(), done(performance.now() - start));
				const watch = new MutationObserver(look);
				watch.observe(document.body, { childList: true, subtree: true });
				[...document.querySelectorAll('.tabs a')].find((e) => e.textContent === '`+part[0]+`').click();
			})`))
		}
	}
	for name, of := range map[string][]float64{"paint": paint, "answer": answer} {
		slices.Sort(of)
		b.ReportMetric(of[len(of)/2], name+"-p50-ms")
		b.ReportMetric(of[len(of)*99/100], name+"-p99-ms")
	}
}
