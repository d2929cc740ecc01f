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

func TestTerminal_ColoursLevels(t *testing.T) {
	var out bytes.Buffer
	terminal := newTerminal(&out)
	for level, want := range map[logs.Level]string{
		logs.LevelWarn: "\x1b[33mWARN text\x1b[0m\n", logs.LevelError: "\x1b[31mERROR text\x1b[0m\n",
		logs.LevelInfo: "INFO text\n", logs.LevelUnspecified: "text\n",
	} {
		out.Reset()
		terminal.colour = false
		terminal.entry(logs.Entry{Level: level, Message: "text"})
		if got := out.String(); strings.Contains(got, "\x1b") {
			t.Errorf("%s without colours: %q", level, got)
		}
		out.Reset()
		terminal.colour = true
		terminal.entry(logs.Entry{Level: level, Message: "text"})
		if got := out.String(); got != want {
			t.Errorf("%s: got %q, want %q", level, got, want)
		}
	}
}
