package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/logs"
	"vivarium/host/throttle"
)

func TestTerminal_OneFunctionDoesNotFloodIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		terminal := newTerminal(&out)
		terminal.limit = throttle.New(10, 100)
		terminal.prefix = func(id string) string { return id + ": " }
		loud := logs.Entry{Level: logs.LevelUnspecified, FunctionID: "loud", Message: "123456789"}
		for range 50 {
			terminal.entry(loud)
		}
		terminal.entry(logs.Entry{Level: logs.LevelUnspecified, FunctionID: "quiet", Message: "heard"})
		if got := strings.Count(out.String(), "loud: 123456789\n"); got != 10 || !strings.HasSuffix(out.String(), "\nquiet: heard\n") {
			t.Errorf("got %s", &out)
		}
		time.Sleep(time.Second)
		out.Reset()
		terminal.entry(loud)
		if got, want := out.String(), "loud: 40 log entries not shown here: there were too many\nloud: 123456789\n"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
