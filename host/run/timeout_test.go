package run

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"vivarium/host/catalog"
)

// timeouts are functions whose time passes, each with what their log says then, as a
// regular expression for each line.
var timeouts = map[string]struct {
	source string
	want   []string
}{
	"a loop": {`
def spin():
    while True: pass
def handler(event, context):
    spin()
`, []string{
		`The time is up\.`, `The main thread was here \(most recent call last\):`,
		`  File "/function/code/main\.py", line 5, in handler`, `  File "/function/code/main\.py", line 3, in spin`,
	}},
	"a sleep, in a method": {`
import time
class Client:
    def ask(self): time.sleep(3600)
def handler(event, context): Client().ask()
`, []string{
		`The time is up\.`, `The main thread was here .*`, `  File ".*/main\.py", line 5, in handler`, `  File ".*/main\.py", line 4, in Client\.ask`,
	}},
	"an import": {`
import time
time.sleep(3600)
`, []string{`The time is up\.`, `The main thread was here .*`, `  File "/function/code/main\.py", line 3, in <module>`}},
	"C": {`
import re
def handler(event, context): re.match("(a+)+$", "a" * 99 + "b")
`, []string{`The time is up\.`, `The main thread was here .*`, `  File ".*/main\.py", line 3, in handler`, `  File ".*/re/__init__\.py", line \d+, in match`}},
	"a lock": {`
import threading
def handler(event, context):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
`, []string{`The time is up\. The only thread was waiting for another one\.`, `The main thread was here .*`, `  File ".*/main\.py", line 6, in handler`}},
	"locks in a circle": {`
import threading
a, b, ready = threading.Lock(), threading.Lock(), threading.Barrier(2)
def work(mine, other):
    with mine:
        ready.wait()
        with other: pass
def handler(event, context):
    t = threading.Thread(target=work, args=(a, b))
    t.start()
    work(b, a)
`, []string{
		`The time is up\. All 2 threads were waiting for each other\.`,
		`The main thread was here .*`, `  File ".*/main\.py", line 11, in handler`, `  File ".*/main\.py", line 7, in work`,
		`Thread \d+ was here .*`, `  File ".*/threading\.py", line \d+, in Thread\.run`, `  File ".*/main\.py", line 7, in work`,
	}},
	"a thread that computes": {`
import threading
def spin():
    while True: pass
def handler(event, context):
    t = threading.Thread(target=spin)
    t.start()
    t.join()
`, []string{
		`The time is up\.`,
		`The main thread was here .*`, `  File ".*/main\.py", line 8, in handler`, `  File ".*/threading\.py", line \d+, in Thread\.join`,
		`Thread \d+ was here .*`, `  File ".*/threading\.py", line \d+, in Thread\.run`, `  File ".*/main\.py", line 4, in spin`,
	}},
	"deep recursion": {`
import time
def deeper(n):
    if n == 0: time.sleep(3600)
    deeper(n - 1)
def handler(event, context): deeper(500)
`, append(append([]string{`The time is up\.`, `The main thread was here .*`, `  \.\.\.`},
		repeated(31, `  File ".*/main\.py", line 5, in deeper`)...), `  File ".*/main\.py", line 4, in deeper`)},
	"many threads": {`
import threading
def handler(event, context):
    for n in range(40): threading.Thread(target=threading.Event().wait).start()
    threading.Event().wait()
`, append(append([]string{
		`The time is up\. All 41 threads were waiting for each other\.`,
		`The main thread was here .*`, `  File ".*/main\.py", line 5, in handler`, `  File ".*, in Event\.wait`, `  File ".*, in Condition\.wait`},
		repeated(32, `Thread \d+ was here .*`, `  File ".*, in Thread\.run`, `  File ".*, in Event\.wait`, `  File ".*, in Condition\.wait`)...),
		`and 8 threads more`)},
}

func repeated(n int, lines ...string) (all []string) {
	for range n {
		all = append(all, lines...)
	}
	return all
}

// The log of a call whose time is up says where each thread stood; what the caller
// gets is the same as ever.
func TestTimeout_TheLogSaysWhereThreadsStood(t *testing.T) {
	for name, c := range timeouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newTestHost(t, testConfig{})
			h.deploy("f", c.source, catalog.VersionSpec{MemoryMB: 256, Timeout: 2 * time.Second})
			fe := h.wantFault("f", "", "ExecutionTimeout")
			if fe.Message != "Execution timeout exceeded: 2000 ms" || len(fe.StackTrace) > 0 {
				t.Errorf("the caller gets %+v", fe)
			}
			var lines []string
			for _, l := range h.log("") {
				if strings.HasPrefix(l, "The time is up") || lines != nil {
					lines = append(lines, l)
				}
			}
			lines = lines[:max(0, len(lines)-3)] // ERROR, END, REPORT
			for n, want := range c.want {
				if n >= len(lines) || !regexp.MustCompile("^"+want+"$").MatchString(lines[n]) {
					t.Fatalf("line %d is not %s:\n%s", n+1, want, strings.Join(lines, "\n"))
				}
			}
			if len(lines) > len(c.want) {
				t.Errorf("more than %d lines:\n%s", len(c.want), strings.Join(lines, "\n"))
			}
		})
	}
}

// A function that has forged what the interpreter knows of its frames gains nothing.
func TestTimeout_ForgedFramesHarmNobody(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("f", `
import dis, struct, sys, threading
def f(): return 1
def forge():
    "A bytearray whose buffer is the whole of the address space."
    holder = struct.pack("<IIiIIIII", 1 << 20, id(bytearray), 0x7FFFFFFF, 0x7FFFFFFF, 0, 0, 0, 0) * 4096
    consts = (holder,)
    table = struct.pack("<I", id(holder) + 16) * 100_000
    index = (id(table) + 32 - id(consts)) // 4
    code = [dis.opmap["RESUME"], 0]
    for shift in (24, 16, 8): code += [dis.opmap["EXTENDED_ARG"], (index >> shift) & 255]
    code += [dis.opmap["LOAD_CONST"], index & 255, dis.opmap["RETURN_VALUE"], 0]
    f.__code__ = f.__code__.replace(co_code=bytes(code), co_consts=consts)
    return f(), (holder, table)
def handler(event, context): attack(event)
def attack(event):
    memory, keep = forge()
    def write(at, value): memory[at:at + 4] = struct.pack("<I", value)
    at = id(sys._getframe(1)) + 12
    caller = struct.unpack("<I", memory[at:at + 4])[0] # frame->f_frame
    if event == "circle": write(caller + 4, caller) # its previous one
    if event == "circle of nobody":
        memory[caller + 38:caller + 39] = b"\x03" # its owner
        write(caller + 4, caller)
    if event == "no code": write(caller, 0xFFFFFFF0)
    if event == "no lines": write(id(handler.__code__.co_linetable) + 8, 0)
    if event == "long name": write(id(handler.__code__.co_filename) + 8, 0x7FFFFFFF)
    print("forged")
    while True: pass
`, catalog.VersionSpec{MemoryMB: 128, Timeout: 2 * time.Second})
	h.deploy("other", smallModule, catalog.VersionSpec{})
	for _, what := range []string{"circle", "circle of nobody", "no code", "no lines", "long name"} {
		h.wantFault("f", `"`+what+`"`, "ExecutionTimeout")
		if got := h.log("forged"); len(got) == 0 {
			t.Fatalf("%s: the forgery did not work: %q", what, h.log(""))
		}
		if _, err := h.raw("other", ""); err != nil {
			t.Error(what, err)
		}
	}
}
