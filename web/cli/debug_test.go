package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// debugged is a function in which there is something to look at.
const debugged = `def double(n):
    twice = n * 2
    return twice


def handler(event, context):
    total = 0
    for n in range(3):
        total += double(n)
    if event.get("stop"):
        breakpoint()
    if event.get("spin"):
        while not event.get("enough"):
            pass
    if event.get("fail"):
        raise ValueError("no more")
    return total


async def soon(event, context):
    inner = handler(event, context)
    return inner


import threading


def work(results):
    mine = []
    for n in range(3):
        mine.append(double(n))
    results.append(sum(mine))


def threaded(event, context):
    results = []
    worker = threading.Thread(target=work, args=(results,), name="worker")
    worker.start()
    worker.join()
    if event.get("fail"):
        failing = threading.Thread(target=double, args=(None,), name="failing")
        failing.start()
        failing.join()
    return results
`

func debuggedFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "main.py"), []byte(debugged), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// said returns what a debugger printed, without the log, which may come in between.
func said(stderr string) string { return logLine.ReplaceAllString(stderr, "") }

var logLine = regexp.MustCompile(`(START|ERROR|END|REPORT) RequestID: .*\n`)

// pdb is at the terminal: at a breakpoint, and where an exception was raised. What it
// prints can't steer the terminal.
func TestDebug_Terminal(t *testing.T) {
	folder := debuggedFolder(t)
	for _, c := range []struct {
		event, typed string
		code         int
		answer       string
		want         []string
	}{
		{`{"stop": 1}`, "p total\nw\nn\np '\\x1b[2J'.encode().decode()\np locals()['total'] * 7\nc\n", ExitOK, "6",
			[]string{"-> breakpoint()", "(Pdb) 6\n", "main.py(12)handler()", "(Pdb) '\\x1b[2J'\n", "(Pdb) 42\n"}},
		{`{"fail": 1}`, "p event\nup\nq\n", ExitFunction, `"errorType": "ValueError"`,
			[]string{"ValueError: no more\n", "-> raise ValueError(\"no more\")", "{'fail': 1}\n", "Oldest frame"}},
		{`{"stop": 1}`, "", ExitFunction, `"errorType": "BdbQuit"`, []string{"(Pdb) "}}, // nothing can be typed
		{`{}`, "", ExitOK, "6", nil},
	} {
		code, stdout, stderr := execute(c.typed, "run", folder, "--raw", "-d", c.event, "--debug", "--timeout", "1m")
		if code != c.code || !strings.Contains(stdout, c.answer) || strings.Contains(stderr, "/function/runtime") && c.code == ExitOK ||
			strings.Contains(stderr, "needs run or dev") {
			t.Errorf("%s: exit code %d, %s%s", c.event, code, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(said(stderr), want) {
				t.Errorf("%s: %q is not in %s", c.event, want, stderr)
			}
		}
	}
	if code, _, stderr := execute("{}", "run", folder, "--raw", "-d", "@-", "--debug"); code != ExitFailure || !strings.Contains(stderr, "-d @FILE") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// Threads come to the terminal one after the other.
func TestDebug_TerminalOfThreads(t *testing.T) {
	folder := writeFiles(t, map[string]string{"main.py": `import threading


def stop(n, answers):
    breakpoint()
    answers[n] = n * n


def handler(event, context):
    answers = {}
    threads = [threading.Thread(target=stop, args=(n, answers), name=f"worker {n}") for n in (2, 3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return answers
`})
	code, stdout, stderr := execute("p -n\nc\np -n\nc\n", "run", folder, "--raw", "-d", "{}", "--debug", "--timeout", "1m")
	// Which one comes first, nobody says.
	if code != ExitOK || stdout != `{"2": 4, "3": 9}` && stdout != `{"3": 9, "2": 4}` {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"(Pdb worker 2) -2\n", "(Pdb worker 3) -3\n"} {
		if !strings.Contains(said(stderr), want) {
			t.Errorf("%q is not in %s", want, stderr)
		}
	}
}

// holdTime is longer than brief, what a call may take where time stands still.
const (
	brief    = "3s"
	holdTime = 3500 * time.Millisecond
)

// While pdb has the function, time stands still for its deadline, whatever is typed and
// however slowly; afterwards it goes on.
func TestDebug_TerminalHoldsTheDeadline(t *testing.T) {
	folder := debuggedFolder(t)
	sleep := fmt.Sprintf("!import time; time.sleep(%.1f)\n", holdTime.Seconds())
	const left = "p 0 < context.get_remaining_time_in_millis() < 3000\n"
	for _, c := range []struct {
		event, typed string
		code         int
		answer       string
	}{
		{`{"stop": 1}`, sleep + left + "c\n", ExitOK, "6"},
		{`{"stop": 1, "spin": 1}`, left + "c\n", ExitFunction, "Execution timeout exceeded: 3000 ms"},
		{`{"fail": 1}`, "!left = context.get_remaining_time_in_millis()\n" + sleep +
			"p 0 < left == context.get_remaining_time_in_millis()\nq\n", ExitFunction, "ValueError"},
	} {
		code, stdout, stderr := execute(c.typed, "run", folder, "--raw", "-d", c.event, "--debug", "--timeout", brief)
		if code != c.code || !strings.Contains(stdout, c.answer) || !strings.Contains(said(stderr), "(Pdb) True\n") {
			t.Errorf("%s: exit code %d, %s%s", c.event, code, stdout, stderr)
		}
	}
}

// dapClient is what speaks the debug adapter protocol.
type dapClient struct {
	t    *testing.T
	conn net.Conn
	read *bufio.Reader
	seq  int
	seen []dap.Message // events that nobody has asked for yet

	thread int // that stopped last
}

// attach runs a function that is debugged, and attaches to it.
func attach(t *testing.T, args ...string) (e *dapClient, ended <-chan string) {
	t.Helper()
	port := freePort(t)
	address := "127.0.0.1:" + port
	answers := make(chan string, 1)
	go func() {
		code, stdout, stderr := execute("", append(args, "--debug-port", port)...)
		answers <- fmt.Sprint(code, " ", stdout, stderr)
	}()
	for range 600 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
			return &dapClient{t: t, conn: conn, read: bufio.NewReader(conn)}, answers
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("nobody listens")
	return nil, nil
}

// ask sends a request and returns its response. The request's type is given by a pointer to
// one, whose sequence number and command are filled in.
func (e *dapClient) ask(command string, request dap.RequestMessage) dap.Message {
	e.t.Helper()
	e.seq++
	r := request.GetRequest()
	r.Seq, r.Type, r.Command = e.seq, "request", command
	if err := dap.WriteProtocolMessage(e.conn, request); err != nil {
		e.t.Fatal(err)
	}
	for {
		m := e.next()
		if response, ok := m.(dap.ResponseMessage); ok {
			if r := response.GetResponse(); r.RequestSeq != e.seq {
				e.t.Fatalf("%s: got an answer to another request: %+v", command, r)
			}
			return m
		}
		e.seen = append(e.seen, m)
	}
}

func (e *dapClient) next() dap.Message {
	e.t.Helper()
	m, err := dap.ReadProtocolMessage(e.read)
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

// event waits for an event, which ask may have met.
func event[T dap.Message](e *dapClient) T {
	e.t.Helper()
	for {
		for i, m := range e.seen {
			if found, ok := m.(T); ok {
				e.seen = slices.Delete(e.seen, i, i+1)
				return found
			}
		}
		e.seen = append(e.seen, e.next())
	}
}

// begin does what editors do first.
func (e *dapClient) begin(folder string, filters []string, breakpoints ...dap.SourceBreakpoint) []dap.Breakpoint {
	e.t.Helper()
	got := e.ask("initialize", &dap.InitializeRequest{}).(*dap.InitializeResponse)
	if !got.Body.SupportsConfigurationDoneRequest || len(got.Body.ExceptionBreakpointFilters) != 2 {
		e.t.Errorf("capabilities: %+v", got.Body)
	}
	e.ask("attach", &dap.AttachRequest{Arguments: []byte(`{"justMyCode": true}`)})
	event[*dap.InitializedEvent](e)
	set := e.ask("setBreakpoints", &dap.SetBreakpointsRequest{Arguments: dap.SetBreakpointsArguments{
		Source: dap.Source{Path: filepath.Join(folder, "main.py")}, Breakpoints: breakpoints,
	}}).(*dap.SetBreakpointsResponse)
	e.ask("setExceptionBreakpoints", &dap.SetExceptionBreakpointsRequest{Arguments: dap.SetExceptionBreakpointsArguments{Filters: filters}})
	e.ask("configurationDone", &dap.ConfigurationDoneRequest{})
	return set.Body.Breakpoints
}

// stopped waits until the function stands still, and returns why and where: "reason line
// function", each frame's.
func (e *dapClient) stopped() (string, []dap.StackFrame) {
	e.t.Helper()
	why := event[*dap.StoppedEvent](e)
	e.thread = why.Body.ThreadId
	text, frames := e.stack(e.thread)
	return why.Body.Reason + text, frames
}

// stack returns where a thread stands.
func (e *dapClient) stack(thread int) (string, []dap.StackFrame) {
	e.t.Helper()
	request := &dap.StackTraceRequest{Arguments: dap.StackTraceArguments{ThreadId: thread}}
	frames := e.ask("stackTrace", request).(*dap.StackTraceResponse).Body.StackFrames
	text := ""
	for _, f := range frames {
		text += fmt.Sprintf(" %d %s", f.Line, f.Name)
	}
	return text, frames
}

// threads returns the numbers of the threads, by name.
func (e *dapClient) threads() map[string]int {
	e.t.Helper()
	found := map[string]int{}
	for _, thread := range e.ask("threads", &dap.ThreadsRequest{}).(*dap.ThreadsResponse).Body.Threads {
		found[thread.Name] = thread.Id
	}
	return found
}

// at fails the test unless the function stands still there.
func (e *dapClient) at(want string) []dap.StackFrame {
	e.t.Helper()
	got, frames := e.stopped()
	if got != want {
		e.t.Errorf("stopped at %q, want %q", got, want)
	}
	return frames
}

// locals returns the variables of the innermost frame.
func (e *dapClient) locals(frame int) (map[string]string, int) {
	e.t.Helper()
	scopes := e.ask("scopes", &dap.ScopesRequest{Arguments: dap.ScopesArguments{FrameId: frame}}).(*dap.ScopesResponse).Body.Scopes
	found := map[string]string{}
	for _, v := range e.variables(scopes[0].VariablesReference) {
		found[v.Name] = v.Value
	}
	return found, scopes[0].VariablesReference
}

func (e *dapClient) variables(reference int) []dap.Variable {
	e.t.Helper()
	request := &dap.VariablesRequest{Arguments: dap.VariablesArguments{VariablesReference: reference}}
	return e.ask("variables", request).(*dap.VariablesResponse).Body.Variables
}

// evaluate evaluates an expression in the innermost frame.
func (e *dapClient) evaluate(expression, context string) dap.Message {
	e.t.Helper()
	return e.ask("evaluate", &dap.EvaluateRequest{Arguments: dap.EvaluateArguments{Expression: expression, FrameId: 1, Context: context}})
}

// resume sends one of the requests after which the function runs.
func (e *dapClient) resume(command string) {
	e.t.Helper()
	request := map[string]dap.RequestMessage{
		"continue": &dap.ContinueRequest{Arguments: dap.ContinueArguments{ThreadId: e.thread}},
		"next":     &dap.NextRequest{Arguments: dap.NextArguments{ThreadId: e.thread}},
		"stepIn":   &dap.StepInRequest{Arguments: dap.StepInArguments{ThreadId: e.thread}},
		"stepOut":  &dap.StepOutRequest{Arguments: dap.StepOutArguments{ThreadId: e.thread}},
	}[command]
	if failed, ok := e.ask(command, request).(*dap.ErrorResponse); ok {
		e.t.Fatalf("%s: %s", command, failed.Message)
	}
}

// An editor sets a breakpoint in the file as it has it, steps, reads and changes variables, and
// sees an exception where it was raised.
func TestDebug_Editor(t *testing.T) {
	folder := debuggedFolder(t)
	e, ended := attach(t, "run", folder, "--raw", "-d", `{"fail": 1}`, "--timeout", "1m")
	set := e.begin(folder, []string{"uncaught"},
		dap.SourceBreakpoint{Line: 9, Condition: "n == 1"}, dap.SourceBreakpoint{Line: 4}, dap.SourceBreakpoint{Line: 99})
	if len(set) != 3 || !set[0].Verified || set[0].Line != 9 || !set[1].Verified || set[1].Line != 6 || set[2].Verified {
		t.Errorf("breakpoints: %+v", set)
	}
	frames := e.at("breakpoint 9 handler")
	if frames[0].Source.Path != filepath.Join(folder, "main.py") {
		t.Errorf("the source is %s", frames[0].Source.Path)
	}
	first, _ := e.locals(1)
	if want := map[string]string{"context": first["context"], "event": "{'fail': 1}", "n": "1", "total": "0"}; !reflect.DeepEqual(first, want) {
		t.Errorf("locals: %v", first)
	}
	e.resume("stepIn")
	e.at("step 2 double 9 handler")
	e.resume("next")
	e.at("step 3 double 9 handler")
	got, scope := e.locals(1)
	if got["twice"] != "2" {
		t.Errorf("locals: %v", got)
	}
	e.ask("setVariable", &dap.SetVariableRequest{
		Arguments: dap.SetVariableArguments{VariablesReference: scope, Name: "twice", Value: "n + 40"},
	})
	e.resume("stepOut")
	e.at("step 8 handler")
	for expression, want := range map[string]string{"total + 1": "42", "[1, {'a': event}]": "[1, {'a': {'fail': 1}}]"} {
		got := e.evaluate(expression, "hover").(*dap.EvaluateResponse)
		if got.Body.Result != want {
			t.Errorf("%s: got %s, want %s", expression, got.Body.Result, want)
		}
		if inside := got.Body.VariablesReference; inside != 0 {
			if members := e.variables(inside); len(members) != 2 || members[1].Name != "[1]" || members[1].VariablesReference == 0 {
				t.Errorf("members: %+v", members)
			}
		}
	}
	if m, ok := e.evaluate("none", "hover").(*dap.ErrorResponse); !ok || m.Success ||
		!strings.Contains(m.Message, "NameError") {
		t.Errorf("got %+v", m)
	}
	e.resume("continue")
	e.at("exception 16 handler")
	if got, _ := e.locals(1); got["total"] != "45" {
		t.Errorf("locals: %v", got)
	}
	e.resume("continue")
	if got := <-ended; !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "ValueError") || !strings.Contains(got, "the editor is gone") {
		t.Errorf("the run: %s", got)
	}
}

// A coroutine is debugged like a function; a log point prints and does not stop; what only
// computes can be paused; who goes leaves the function running.
func TestDebug_EditorOfACoroutine(t *testing.T) {
	folder := debuggedFolder(t)
	e, ended := attach(t, "run", folder, "--entrypoint", "main.soon", "--raw", "-d", `{"stop": 1, "spin": 1}`, "--timeout", "1m")
	e.begin(folder, nil, dap.SourceBreakpoint{Line: 21}, dap.SourceBreakpoint{Line: 2, LogMessage: "n is {n}, {m}"})
	e.at("breakpoint 21 soon")
	e.resume("continue")
	for n := range 3 {
		if got := event[*dap.OutputEvent](e).Body.Output; got != fmt.Sprintf("n is %d, <NameError: name 'm' is not defined>\n", n) {
			t.Errorf("output: %s", got)
		}
	}
	e.at("breakpoint 11 handler 21 soon")
	e.resume("continue")
	time.Sleep(200 * time.Millisecond) // it spins
	e.ask("pause", &dap.PauseRequest{})
	got, _ := e.stopped()
	if !strings.HasPrefix(got, "pause 1") || !strings.HasSuffix(got, "handler 21 soon") {
		t.Errorf("paused at %s", got)
	}
	e.evaluate("event['enough'] = 1", "repl")
	e.ask("disconnect", &dap.DisconnectRequest{})
	if got := <-ended; !strings.HasPrefix(got, "0 6") {
		t.Errorf("the run: %s", got)
	}
}

// Threads that the function starts are debugged like the handler's: while one stands still the
// others do, and so does the deadline.
func TestDebug_EditorOfThreads(t *testing.T) {
	folder := debuggedFolder(t)
	e, ended := attach(t, "run", folder, "--entrypoint", "main.threaded", "--raw", "-d", `{"fail": 1}`, "--timeout", brief)
	e.begin(folder, []string{"uncaught"}, dap.SourceBreakpoint{Line: 31, Condition: "n == 1"}, dap.SourceBreakpoint{Line: 40})
	e.at("breakpoint 31 work")
	threads := e.threads()
	if len(threads) != 2 || threads["handler"] != 1 || threads["worker"] != e.thread {
		t.Errorf("threads: %v, and %d has stopped", threads, e.thread)
	}
	if got, frames := e.stack(1); got != " 38 threaded" && got != " 39 threaded" {
		t.Fatalf("the handler is at%s", got)
	} else if got, _ := e.locals(frames[0].Id); got["results"] != "[]" {
		t.Errorf("the handler's locals: %v", got)
	}
	time.Sleep(holdTime) // the handler waits for the thread all the time
	e.resume("stepIn")
	e.at("step 2 double 31 work")
	e.resume("stepOut")
	e.at("step 30 work")
	e.resume("next")
	e.at("breakpoint 31 work")
	if got, _ := e.locals(1); got["mine"] != "[0, 2]" {
		t.Errorf("the thread's locals: %v", got)
	}
	at, _ := e.stack(1)
	e.thread = 1
	e.resume("next") // in the handler, which waits for the other
	if at == " 38 threaded" {
		e.at("step 39 threaded")
		e.resume("next")
	}
	e.at("breakpoint 40 threaded")
	e.resume("continue")
	e.at("exception 2 double")
	if threads := e.threads(); threads["failing"] != e.thread {
		t.Errorf("threads: %v, and %d has stopped", threads, e.thread)
	}
	e.resume("continue")
	if got := <-ended; !strings.HasPrefix(got, "0 [6]") || !strings.Contains(got, "TypeError") {
		t.Errorf("the run: %s", got)
	}
}

// The deadline waits for the editor to attach, and while the function stands still; not for a
// function that runs, or when the editor has gone.
func TestDebug_EditorHoldsTheDeadline(t *testing.T) {
	folder := debuggedFolder(t)
	run := func(event string) (*dapClient, <-chan string) {
		return attach(t, "run", folder, "--raw", "-d", event, "--timeout", brief)
	}
	e, ended := run(`{"stop": 1}`)
	time.Sleep(holdTime)
	e.begin(folder, nil)
	e.at("breakpoint 11 handler")
	left := func() string {
		return e.evaluate("context.get_remaining_time_in_millis()", "hover").(*dap.EvaluateResponse).Body.Result
	}
	before := left()
	time.Sleep(holdTime)
	if after := left(); before != after || before == "0" || len(before) > 4 {
		t.Errorf("%s ms are left, then %s", before, after)
	}
	e.resume("continue")
	if got := <-ended; !strings.HasPrefix(got, "0 6") {
		t.Errorf("the run: %s", got)
	}

	const late = "Execution timeout exceeded: 3000 ms"
	e, ended = run(`{"stop": 1, "spin": 1}`)
	e.begin(folder, nil)
	e.at("breakpoint 11 handler")
	e.resume("continue")
	if got := <-ended; !strings.HasPrefix(got, "1 ") || !strings.Contains(got, late) {
		t.Errorf("the run that spins: %s", got)
	}

	e, ended = run(`{"stop": 1}`)
	e.begin(folder, nil)
	e.at("breakpoint 11 handler")
	spin := &dap.EvaluateRequest{Arguments: dap.EvaluateArguments{Expression: "while True: pass", FrameId: 1, Context: "repl"}}
	spin.Seq, spin.Type, spin.Command = 99, "request", "evaluate"
	if err := dap.WriteProtocolMessage(e.conn, spin); err != nil {
		t.Fatal(err)
	}
	_ = e.conn.Close()
	if got := <-ended; !strings.HasPrefix(got, "1 ") || !strings.Contains(got, late) {
		t.Errorf("the run that was left spinning: %s", got)
	}
}

// What is not the protocol, such as what a page in a browser can send to the port, ends the
// debugging, not the function.
func TestDebug_EditorSpeaksNothingElse(t *testing.T) {
	folder := debuggedFolder(t)
	const body = `{"seq": 1, "type": "request", "command": "initialize", "arguments": {}}`
	message := func(text string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text) }
	for what, text := range map[string]string{
		"HTTP": "POST / HTTP/1.1\r\n" + message(body), "no JSON": message("{["), "no object": message("[1]"), "no UTF-8": message("\xff\xfe"),
		"depth": message(strings.Repeat("[", 100_000)), "a long head": strings.Repeat("x", 200), "a long message": "Content-Length: 1000000\r\n\r\n",
		"a long number": message(`{"seq": ` + strings.Repeat("9", 5000) + `}`),
	} {
		t.Run(what, func(t *testing.T) {
			e, ended := attach(t, "run", folder, "--raw", "-d", `{}`, "--timeout", "1m")
			if _, err := io.WriteString(e.conn, text); err != nil {
				t.Fatal(err)
			}
			if answer, _ := io.ReadAll(e.read); len(answer) > 0 {
				t.Errorf("got %s", answer)
			}
			if got := <-ended; !strings.HasPrefix(got, "0 6") {
				t.Errorf("the run: %s", got)
			}
		})
	}
}

// Requests that can't be answered are refused, and the function goes on.
func TestDebug_EditorAsksForTheImpossible(t *testing.T) {
	folder := debuggedFolder(t)
	e, ended := attach(t, "run", folder, "--raw", "-d", `{"stop": 1}`, "--timeout", "1m")
	e.begin(folder, nil)
	e.at("breakpoint 11 handler")
	refused := func(what, request, want string) {
		t.Helper()
		if _, err := fmt.Fprintf(e.conn, "Content-Length: %d\r\n\r\n%s", len(request), request); err != nil {
			t.Fatal(err)
		}
		head, err := e.read.ReadString('{')
		if err != nil {
			t.Fatal(what, err)
		}
		found := regexp.MustCompile(`Content-Length: (\d+)\r\n\r\n`).FindStringSubmatch(head)
		if found == nil {
			t.Fatalf("%s: got %q", what, head)
		}
		size, _ := strconv.Atoi(found[1]) // only digits
		rest := make([]byte, size-1)
		if _, err := io.ReadFull(e.read, rest); err != nil {
			t.Fatal(what, err)
		}
		if text := string(rest); !strings.Contains(text, `"success": false`) || !strings.Contains(text, want) {
			t.Errorf("%s: got %.300s, want %s", what, text, want)
		}
	}
	nested := strings.Repeat("[", 500) + strings.Repeat("]", 500)
	refused("a command that is none", `{"seq": 7, "command": {"a": [1]}}`, "not supported")
	refused("a number that is none", `{"seq": `+nested+`, "command": "stop"}`, "not supported")
	refused("arguments that are none", `{"seq": 9, "command": "setBreakpoints", "arguments": [1]}`, "TypeError")
	for expression, want := range map[string]string{
		"exit()": "SystemExit", "1 / 0": "ZeroDivisionError",
		"(_ for _ in ()).throw(type('E', (Exception,), {'__str__': lambda e: 1 / 0}))": "str() of it fails",
	} {
		refused(expression, fmt.Sprintf(`{"seq": 10, "command": "evaluate", "arguments": {"expression": %q, "frameId": 1}}`, expression), want)
	}
	e.seq = 10
	e.resume("continue")
	if got := <-ended; !strings.HasPrefix(got, "0 6") {
		t.Errorf("the run: %s", got)
	}
}

// An editor is for a call whose caller is still there; those that leave before they have
// said anything are for none.
func TestDebug_EditorFindsTheCallThatWaits(t *testing.T) {
	port := freePort(t)
	address := "127.0.0.1:" + port
	folder := debuggedFolder(t)
	p := startFor(t, "dev", folder, "--listen", "127.0.0.1:0", "--debug-port", port, "--timeout", "1m", "--name", "debugged")
	call := func(ctx context.Context) <-chan string {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/debugged?integration=raw", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan string, 1)
		go func() {
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				answered <- err.Error()
				return
			}
			text, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			answered <- fmt.Sprint(answer.StatusCode, " ", string(text), err)
		}()
		return answered
	}
	said := func(text string, times int) {
		t.Helper()
		eventually(t, func() string {
			if got := p.stderr.String(); strings.Count(got, text) < times {
				return fmt.Sprintf("%q is not there %d times: %s", text, times, got)
			}
			return ""
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := call(ctx)
	said("waiting for an editor", 1)
	cancel()
	<-left
	said("Code: 499", 1)
	answered := call(t.Context())
	said("waiting for an editor", 2)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for range 100 {
		_ = dial().Close()
	}
	conn := dial()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	e := &dapClient{t: t, conn: conn, read: bufio.NewReader(conn)}
	e.begin(folder, nil, dap.SourceBreakpoint{Line: 9})
	e.at("breakpoint 9 handler")
	_ = conn.Close()
	if got := <-answered; got != "200 6<nil>" {
		t.Errorf("got %s", got)
	}
}

func TestDebug_SaysWhatIsWrong(t *testing.T) {
	folder := debuggedFolder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := strings.Cut(taken.Addr().String(), ":")
	project := debuggedFolder(t)
	if err := os.WriteFile(filepath.Join(project, projectFile), []byte("functions:\n  one:\n    path: .\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", folder, "--debug-port", port}, "address already in use"},
		{[]string{"run", folder, "--debug-port", "70000"}, "70000: is no port"},
		{[]string{"run", folder, "--debug-port", "5678", "--debug"}, "can't be used together"},
		{[]string{"dev", project, "--debug", "--listen", "127.0.0.1:0"}, "is for one function"},
	} {
		if code, _, stderr := execute("", c.args...); code != ExitFailure || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d: %s, want %s", c.args, code, stderr, c.want)
		}
	}
}
