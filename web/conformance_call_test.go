package web

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/wasm/vfs"
)

// caseFunction is a function that cases call.
type caseFunction struct {
	name string
	host *host.Host

	mu      sync.Mutex // held by the case that uses the function
	tried   bool
	version *catalog.Version
	err     error // of the deployment
}

// function returns a case's function. Cases with the same code and
// configuration share it.
func (s *suite) function(c *testCase) *caseFunction {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[c.key]
	if f == nil {
		h, _ := realHost() // startSuite has checked the error
		f = &caseFunction{name: fmt.Sprintf("case-%x", sha256.Sum256([]byte(c.key)))[:20], host: h}
		s.functions[c.key] = f
	}
	return f
}

// deploy deploys the function, once. The caller holds mu.
func (f *caseFunction) deploy(c *testCase) {
	if f.tried {
		return
	}
	f.tried = true
	tree, err := txtar.FS(&txtar.Archive{Files: c.code})
	if err != nil {
		f.err = err
		return
	}
	code, err := vfs.NewTree(tree, vfs.TreeConfig{Eager: true})
	if err != nil {
		f.err = err
		return
	}
	f.version, f.err = f.host.Catalog().DeployTransient(access.Operator, f.name, c.spec, code)
}

// known returns the function's placeholders.
func (f *caseFunction) known() map[string]string {
	return map[string]string{
		"<name>": f.name, "<function>": f.version.FunctionID, "<version>": f.version.ID, "<log-group>": f.version.LogGroupID,
	}
}

// caseRunner makes the calls of one case.
type caseRunner struct {
	t     *testing.T
	suite *suite
	f     *caseFunction
	keep  bool
	kept  *caseConnection
}

// caseConnection is a connection to the server.
type caseConnection struct {
	net.Conn
	reader *bufio.Reader
}

// caseCall is a request that was sent.
type caseCall struct {
	connection *caseConnection
	requestID  string // as sent; the response may have another
	sent       time.Time
	took       time.Duration // until all of the answer was there
}

func (r *caseRunner) connect() *caseConnection {
	if r.kept != nil {
		return r.kept
	}
	connection, err := net.Dial("tcp", r.suite.server.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &caseConnection{connection, bufio.NewReader(connection)}
	if r.keep {
		r.kept = c
	}
	return c
}

func (r *caseRunner) close() {
	if r.kept != nil {
		_ = r.kept.Close()
	}
}

// send sends a step's request. It does not wait for the answer.
func (r *caseRunner) send(step *exchangeStep) {
	c := r.connect()
	port := c.LocalAddr().(*net.TCPAddr).Port
	step.known["<client-port>"] = strconv.Itoa(port)
	step.call = &caseCall{connection: c, sent: time.Now()}
	for _, line := range step.headers {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, headerRequestID) {
			step.call.requestID = strings.TrimSpace(value)
		}
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	go func() { // the server may answer, and stop reading, before all is sent
		_, _ = c.Write(step.wire())
	}()
	if step.has("background") {
		time.Sleep(30 * time.Millisecond) // this one first
	}
}

// finish receives a step's answer, or leaves before there is one, and collects
// the log of the call.
func (r *caseRunner) finish(step *exchangeStep) {
	c := step.call.connection
	if !r.keep {
		defer func() { _ = c.Close() }()
	}
	id := step.call.requestID
	if step.has("abandon") {
		if !caseLogs.wait(id, "START ") {
			r.t.Errorf("%s: the call did not start", step.title)
		}
		_ = c.Close()
		if !caseLogs.wait(id, "REPORT ") {
			r.t.Errorf("%s: the call did not end", step.title)
		}
		step.answer = &answer{Response: &http.Response{Header: http.Header{}}}
	} else {
		response, err := http.ReadResponse(c.reader, &http.Request{Method: step.method})
		if err != nil {
			r.t.Errorf("%s: no answer: %v", step.title, err)
			step.failed = true
			return
		}
		text, err := io.ReadAll(response.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			r.t.Errorf("%s: body: %v", step.title, err)
		}
		step.answer = &answer{response, string(text)}
		id = response.Header.Get(headerRequestID)
	}
	step.call.took = time.Since(step.call.sent)
	step.known["<request>"] = id
	step.lines = logText(caseLogs.of(id), step.wholeLog)
}

// caseLogs holds the log entries of all calls.
var caseLogs = &callLogs{entries: map[string][]logs.Entry{}}

// callLogs collects log entries by request.
type callLogs struct {
	mu      sync.Mutex
	entries map[string][]logs.Entry
}

// add takes an entry. It is the host's Config.Logs.
func (l *callLogs) add(e logs.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[e.RequestID] = append(l.entries[e.RequestID], e)
}

// of returns the entries of a request.
func (l *callLogs) of(requestID string) []logs.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[requestID]
}

// wait blocks until a request has an entry that begins so, ten seconds at most.
func (l *callLogs) wait(requestID, prefix string) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, e := range l.of(requestID) {
			if strings.HasPrefix(e.Message, prefix) {
				return true
			}
		}
	}
	return false
}

// longMessage is how long a message is shown in full.
const longMessage = 4000

// logText writes entries as cases do: the level and the message on a line, the
// message's further lines after a bar, stream name and payload on lines of their
// own. Unless the log is wanted whole, START, END and REPORT are left out.
func logText(entries []logs.Entry, whole bool) []string {
	var texts []string
	for _, e := range entries {
		ours := e.Level == logs.LevelInfo && (strings.HasPrefix(e.Message, "START RequestID:") ||
			strings.HasPrefix(e.Message, "END RequestID:") || strings.HasPrefix(e.Message, "REPORT RequestID:"))
		if ours && !whole {
			continue
		}
		message := e.Message
		if len(message) > longMessage {
			message = fmt.Sprintf("%.16s… (%d bytes)", message, len(message))
		}
		text := string(e.Level) + " " + strings.ReplaceAll(message, "\n", "\n| ")
		if e.StreamName != "" {
			text += "\n= stream_name: " + e.StreamName
		}
		if e.Payload != nil {
			text += "\n= json_payload: " + string(e.Payload)
		}
		texts = append(texts, text)
	}
	return texts
}
