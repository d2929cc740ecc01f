package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var reportFigures = regexp.MustCompile(`^REPORT RequestID: [-0-9a-f]+ Duration: ([0-9.]+) ms Billed Duration: ([0-9.]+) ms` +
	` Memory Size: ([0-9]+) MB Max Memory Used: ([0-9]+) MB Queuing Duration: ([0-9.]+) ms(?: Function Init Duration: ([0-9.]+) ms)?$`)

// checkReport checks the figures of the call's REPORT, if there is one, against
// each other and the clock.
func (step *exchangeStep) checkReport(t *testing.T) {
	t.Helper()
	for _, e := range caseLogs.of(step.known["<request>"]) {
		if !strings.HasPrefix(e.Message, "REPORT ") {
			continue
		}
		figures := reportFigures.FindStringSubmatch(e.Message)
		if figures == nil {
			t.Errorf("not a REPORT: %s", e.Message)
			continue
		}
		values := make([]float64, len(figures))
		for i := 1; i < len(figures); i++ {
			values[i], _ = strconv.ParseFloat(figures[i], 64) // the pattern allows only numbers, or nothing
		}
		duration, billed, size, used, queuing, init := values[1], values[2], values[3], values[4], values[5], values[6]
		if took := float64(step.call.took) / 1e6; duration > took+0.001 || duration <= 0 {
			t.Errorf("the call took %.3f ms for the caller: %s", took, e.Message)
		}
		if up := billed - duration; up < -1e-6 || up > 0.1+1e-6 || math.Abs(billed*10-math.Round(billed*10)) > 1e-6 {
			t.Errorf("Billed Duration is not Duration rounded up to 0.1 ms: %s", e.Message)
		}
		if queuing+init > duration+0.002 {
			t.Errorf("Duration is less than its parts: %s", e.Message)
		}
		if used <= 0 || used > size {
			t.Errorf("Max Memory Used is not between 0 and Memory Size: %s", e.Message)
		}
	}
}
