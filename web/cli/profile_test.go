package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const profiled = `import re, threading, time

def sleeps():
    time.sleep(0.3)

def locks():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=0.2)

def matches():
    return re.match('(a+)+b', 'a' * 20)

def loops():
    n = 0
    for i in range(1_000_000):
        n += i
    return n

class Worker:
    def run(self):
        return [
            time.sleep(n)
            for n in (0.05,
                      0.05)]

def handler(event, context):
    sleeps()
    locks()
    matches()
    loops()
    t = threading.Thread(target=Worker().run)
    t.start()
    t.join()
    return {'body': 'done'}
`

// pprofLine matches a line of go tool pprof -lines -top: the time of a line alone, in
// milliseconds, and where it is.
var pprofLine = regexp.MustCompile(`(?m)^ *([0-9.]+)ms +[0-9.]+% +[0-9.]+% +[0-9.]+ms +[0-9.]+% +(.+)$`)

// pprof returns how long each line took, as pprof tells.
func pprof(t *testing.T, file, value string) map[string]time.Duration {
	t.Helper()
	command := exec.Command("go", "tool", "pprof", "-sample_index="+value, "-unit=ms", "-lines", "-nodefraction=0", "-top", file)
	command.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := map[string]time.Duration{}
	for _, m := range pprofLine.FindAllStringSubmatch(string(out), -1) {
		ms, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		lines[m[2]] = time.Duration(ms * 1e6)
	}
	if len(lines) == 0 {
		t.Fatalf("there is nothing in\n%s", out)
	}
	return lines
}

func TestProfile_ShowsWhereTheTimeGoes(t *testing.T) {
	folder := writeFiles(t, map[string]string{"main.py": profiled})
	file := filepath.Join(t.TempDir(), "out.pprof")
	if out := must(t, "run", folder, "--timeout", "60s", "--profile", file); out != "done" {
		t.Errorf("got %s", out)
	}
	wait, cpu := pprof(t, file, "wait"), pprof(t, file, "cpu")
	line := func(text string) string { // by its number, which the table of lines has to lead to
		for n, l := range strings.Split(profiled, "\n") {
			if strings.Contains(l, text) {
				return "/function/code/main.py:" + strconv.Itoa(n+1)
			}
		}
		t.Fatal(text)
		return ""
	}
	for place, least := range map[string]time.Duration{
		"sleeps " + line("time.sleep(0.3)"): 290 * time.Millisecond, "locks " + line("timeout=0.2"): 190 * time.Millisecond,
		"Worker.run " + line("time.sleep(n)"): 90 * time.Millisecond, // of the comprehension, in a thread
	} {
		if wait[place] < least || cpu[place] > least/2 {
			t.Errorf("%s waits for %v and computes for %v; all: %v", place, wait[place], cpu[place], wait)
		}
	}
	looping, matching, all := time.Duration(0), time.Duration(0), time.Duration(0)
	for place, took := range cpu {
		all += took
		if strings.HasPrefix(place, "loops /function/code/main.py:") {
			looping += took
		}
		if strings.HasPrefix(place, "match /usr/lib/python3.13/re/__init__.py:") {
			matching += took
		}
	}
	if looping == 0 || matching == 0 || looping+matching < all*8/10 {
		t.Errorf("the loop computes for %v and the match for %v of %v: %v", looping, matching, all, cpu)
	}
}

func TestProfile_OfACallThatFails(t *testing.T) {
	folder := writeFiles(t, map[string]string{"main.py": "import time\ndef handler(event, context):\n    time.sleep(0.1)\n    raise ValueError('no')\n"})
	file := filepath.Join(t.TempDir(), "out.pprof")
	if code, out, _ := execute("", "run", folder, "--timeout", "60s", "--profile", file); code != ExitFunction || !strings.Contains(out, "ValueError") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if wait := pprof(t, file, "wait"); wait["handler /function/code/main.py:3"] < 90*time.Millisecond {
		t.Errorf("got %v", wait)
	}
	code, _, messages := execute("", "run", folder, "--profile", filepath.Join(t.TempDir(), "absent", "x"))
	if code != ExitFailure || !strings.Contains(messages, "--profile: ") {
		t.Errorf("exit code %d: %s", code, messages)
	}
}
