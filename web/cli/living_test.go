package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"vivarium/web/api"
)

// living is a server that keeps what is deployed.
func living(t *testing.T) *program {
	t.Helper()
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	t.Setenv("VIVARIUM_SERVER", p.url)
	return p
}

// logged waits until a function's log contains a text.
func logged(t *testing.T, function, want string) {
	t.Helper()
	eventually(t, func() string {
		if out := must(t, "logs", function); !strings.Contains(out, want) {
			return want + " is not in the log: " + out
		}
		return ""
	})
}

func TestLogs_FollowGoesOnUntilTheUserEndsIt(t *testing.T) {
	p := living(t)
	folder := writeFiles(t, map[string]string{
		"main.py": "def handler(event, context):\n    print('\\x1b[31msaid', event['queryStringParameters'].get('n'))\n    return {}\n",
	})
	must(t, "deploy", "talks", folder, "--timeout", "60s")
	get(t, p, "/talks?n=before")
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &lockedBuffer{}, make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"logs", "talks", "--follow"}, strings.NewReader(""), out, &bytes.Buffer{})
	}()
	wait := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if !strings.Contains(out.String(), want) {
				return want + " is not in " + out.String()
			}
			return ""
		})
	}
	wait("said before\n")
	get(t, p, "/talks?n=after")
	wait("said after\n")
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a function can steer the terminal")
	}
	cancel()
	if code := <-done; code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if out := must(t, "logs", "talks", "--level", "error"); out != "" {
		t.Errorf("errors: %s", out)
	}
	first, _, _ := strings.Cut(must(t, "logs", "talks", "--json", "--filter", "said after"), "\n")
	var e api.LogEntry
	if err := json.Unmarshal([]byte(first), &e); err != nil || !strings.Contains(e.Message, "said after") {
		t.Errorf("%v in %s", err, first)
	}
}

func TestDeadLetters_AreReplayed(t *testing.T) {
	living(t)
	folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    raise ValueError('not yet')\n"})
	must(t, "deploy", "flaky", folder, "--timeout", "60s", "--async-retries", "0")
	id := strings.TrimSpace(must(t, "invoke", "flaky", "--async", "-d", `{"order": 5}`))
	var letters []api.DeadLetter
	eventually(t, func() string {
		letters = nil
		out := must(t, "dead-letter", "list", "flaky", "--json")
		if err := json.Unmarshal([]byte(out), &letters); err != nil || len(letters) != 1 {
			return "dead letters: " + out
		}
		return ""
	})
	if l := letters[0]; l.RequestID != id || string(l.Body) != `{"order": 5}` || !strings.Contains(l.Error, "not yet") || l.Attempts != 1 {
		t.Errorf("the letter is %+v", l)
	}
	if out := must(t, "dead-letter", "list"); !strings.Contains(out, letters[0].ID) {
		t.Errorf("the table is %s", out)
	}
	writeFile(t, folder+"/main.py", "def handler(event, context):\n    print('served', event['order'])\n")
	must(t, "deploy", "flaky", folder, "--timeout", "60s", "--async-retries", "0")
	must(t, "dead-letter", "replay", "--function", "flaky")
	logged(t, "flaky", "served 5\n")
	if out := must(t, "dead-letter", "list", "flaky", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("still there: %s", out)
	}
}

func TestTimers_CallFunctions(t *testing.T) {
	living(t)
	folder := writeFiles(t, map[string]string{
		"main.py": "def handler(event, context):\n    print('tick', event['messages'][0]['details']['payload'])\n",
	})
	must(t, "deploy", "ticks", folder, "--timeout", "60s")
	must(t, "timer", "create", "beat", "ticks", "--cron", "* * * * * *", "--payload", "tock")
	logged(t, "ticks", "tick tock\n")
	if out := must(t, "timer", "list", "ticks"); !strings.Contains(out, "beat") || !strings.Contains(out, "* * * * * *") {
		t.Errorf("the table is %s", out)
	}
	must(t, "timer", "delete", "beat")
	if out := must(t, "timer", "list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("still there: %s", out)
	}
	for command, want := range map[string]string{
		"timer create beat ticks --cron never":                     "cronExpression: ",
		"timer create beat ticks --cron @hourly --time-zone Mars":  "timeZone: ",
		"timer create beat nobody --cron @hourly":                  "function nobody not found",
		"timer delete beat":                                        "timer beat not found",
		"timer create Bad_Name ticks --cron @hourly":               "name: ",
		"deploy ticks " + folder + " --async-retries 1000":         "asyncInvocationConfig.retriesCount",
		"invoke ticks --async":                                     "not configured",
		"serve --data x --nats nats://127.0.0.1:1":                 "",
		"serve --listen 127.0.0.1:0 --nats nats://127.0.0.1:1/abc": "",
	} {
		if code, _, stderr := execute("", strings.Fields(command)...); code != ExitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, want %q in: %s", command, code, want, stderr)
		}
	}
}

// A server that is told to stop finishes the calls in progress.
func TestServe_DrainsBeforeItEnds(t *testing.T) {
	p := living(t)
	folder := writeFiles(t, map[string]string{
		"main.py": "import time\ndef handler(event, context):\n    print('began')\n    time.sleep(1)\n    return {'body': 'finished'}\n",
	})
	must(t, "deploy", "slow", folder, "--timeout", "60s")
	answer := make(chan string, 1)
	go func() {
		r, err := client.Get(p.url + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		answer <- b.String()
	}()
	eventually(t, func() string { // the terminal has the entry once the line is complete
		if !strings.Contains(p.stderr.String(), "START RequestID") {
			return "the call does not begin"
		}
		return ""
	})
	began := time.Now()
	if code := p.stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if got := <-answer; got != "finished" {
		t.Errorf("the call in progress got %s", got)
	}
	t.Logf("drained in %v", time.Since(began))
}

func TestLogs_AreChosenByLevelAndText(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, map[string]string{
		"main.py": "import logging\ndef handler(event, context):\n    print('printed')\n    logging.error('No Disk')\n    logging.warning('late')\n    return {}\n",
	})
	must(t, "deploy", "levels", folder, "--timeout", "60s")
	code, _, stderr := execute("", "logs", "levels")
	if code != ExitOK || !strings.Contains(stderr, "no entries since 1h") {
		t.Errorf("before the first call: exit code %d: %s", code, stderr)
	}
	get(t, shared, "/levels")
	for flags, want := range map[string]string{
		"--level error": "No Disk", "--level warn": "No Disk late", "--filter no.disk": "", "--filter NO": "No Disk", "--level fatal": "",
	} {
		eventually(t, func() string {
			code, stdout, stderr := execute("", append([]string{"logs", "levels"}, strings.Fields(flags)...)...)
			for _, text := range []string{"No Disk", "late", "printed"} {
				if strings.Contains(stdout, text) != strings.Contains(want, text) || code != ExitOK {
					return flags + ": exit code " + strconv.Itoa(code) + ":\n" + stdout
				}
			}
			if (want == "") != strings.Contains(stderr, "no entry matches; leave out --level") || strings.Contains(stdout, "ERROR [ERROR]") {
				return flags + ": " + stdout + stderr
			}
			return ""
		})
	}
}
