package web

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/catalog"
	"vivarium/host/logs"
)

// testCase is one file of the conformance suite.
type testCase struct {
	sentence string
	proves   []string // ids of statements.txt

	spec           catalog.VersionSpec
	keepConnection bool // all requests go over one connection
	code           []txtar.File
	key            string // equal for cases that may share a function

	deployError *string // what Deploy must complain about
	steps       []*exchangeStep

	archive *txtar.Archive
	changed bool // by -update
}

// exchangeStep is one request of a case, what it must bring, and what it brought.
type exchangeStep struct {
	title   string
	options []string // background, abandon
	method  string
	target  string
	headers []string // lines
	body    []byte

	want     *txtar.File
	log      *txtar.File // nil: not compared
	wholeLog bool        // the log is compared with the entries of the platform's own

	known  map[string]string // placeholder to value
	call   *caseCall
	answer *answer
	lines  []string // of the log
	failed bool     // there is nothing to check
}

// defaultCaseTimeout is the execution timeout of cases that say nothing of it:
// longer than the product's own, since a busy machine should fail no case.
const defaultCaseTimeout = 20 * time.Second

// readCase parses a case. A case without code of its own runs on main.py of its
// area.
func readCase(path string) (*testCase, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	c := &testCase{archive: archive, spec: catalog.VersionSpec{Entrypoint: "main.handler", Timeout: defaultCaseTimeout}}
	head, proves, ok := strings.Cut(string(archive.Comment), "\nproves:")
	if !ok {
		return nil, fmt.Errorf("%s: no line \"proves: ...\"", path)
	}
	c.sentence = strings.Join(strings.Fields(head), " ")
	for id := range strings.SplitSeq(proves, ";") {
		c.proves = append(c.proves, strings.Join(strings.Fields(id), " "))
	}
	config := ""
	for i := range archive.Files {
		if err := c.section(&archive.Files[i], &config); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, archive.Files[i].Name, err)
		}
	}
	if len(c.code) == 0 {
		source, err := os.ReadFile(filepath.Join(filepath.Dir(path), "main.py"))
		if err != nil {
			return nil, err
		}
		c.code = []txtar.File{{Name: "main.py", Data: source}}
	}
	c.key = config + "\x00" + string(txtar.Format(&txtar.Archive{Files: c.code}))
	for _, step := range c.steps {
		if step.want == nil {
			return nil, fmt.Errorf("%s: a request without a want", path)
		}
	}
	if len(c.steps) == 0 && c.deployError == nil {
		return nil, fmt.Errorf("%s: no request", path)
	}
	return c, nil
}

// section takes one section of the file.
func (c *testCase) section(file *txtar.File, config *string) error {
	name, title, _ := strings.Cut(file.Name, ": ")
	last := func() *exchangeStep {
		if len(c.steps) == 0 {
			return &exchangeStep{}
		}
		return c.steps[len(c.steps)-1]
	}
	switch name {
	case "config":
		*config = string(file.Data)
		return c.configure(*config)
	case "deploy error":
		text := strings.TrimSuffix(string(file.Data), "\n")
		c.deployError = &text
	case "request":
		step, err := parseStep(file.Data)
		if err != nil {
			return err
		}
		step.title = title
		c.steps = append(c.steps, step)
	case "want":
		last().want = file
	case "log", "whole log":
		last().log, last().wholeLog = file, name == "whole log"
	default:
		c.code = append(c.code, *file)
	}
	return nil
}

// configure reads the lines of a config section, "name: value" each.
func (c *testCase) configure(text string) (err error) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		spec := &c.spec
		switch name {
		case "entrypoint":
			spec.Entrypoint = value
		case "memory":
			spec.MemoryMB, err = strconv.Atoi(value)
		case "timeout":
			if spec.Timeout = 0; value != "default" {
				spec.Timeout, err = time.ParseDuration(value)
			}
		case "env":
			if spec.Environment == nil {
				spec.Environment = map[string]string{}
			}
			name, value, _ := strings.Cut(value, "=")
			if n, count, ok := strings.Cut(value, " x "); ok { // "a x 5000": repeated
				times, err := strconv.Atoi(count)
				if err != nil {
					return err
				}
				value = strings.Repeat(n, times)
			}
			spec.Environment[name] = value
		case "max-instances":
			spec.MaxInstances, err = strconv.Atoi(value)
		case "min-instances":
			spec.MinInstances, err = strconv.Atoi(value)
		case "service-account":
			spec.ServiceAccountID = value
		case "min-log-level":
			spec.MinLogLevel = logs.Level(value)
		case "connection":
			c.keepConnection = value == "keep"
		case "name": // only makes the function another than that of other cases
		default:
			err = fmt.Errorf("unknown setting %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseStep reads a request:
//
//	@option
//	POST ?query
//	Header: value
//
//	body
//
// A target that does not begin with a slash is appended to the function's path.
func parseStep(data []byte) (*exchangeStep, error) {
	step := &exchangeStep{}
	head, body, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "@") {
		step.options = append(step.options, lines[0][1:])
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no request line")
	}
	step.method, step.target, _ = strings.Cut(lines[0], " ")
	step.headers = lines[1:]
	var err error
	step.body, err = parseBody(strings.TrimSuffix(body, "\n"))
	return step, err
}

// parseBody returns the bytes that a body's text means: "hex: 00ff", "repeat:
// 1000 text", or the text itself.
func parseBody(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex: "); ok {
		return hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	}
	if repeat, ok := strings.CutPrefix(text, "repeat: "); ok {
		count, unit, _ := strings.Cut(repeat, " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		return bytes.Repeat([]byte(unit), n), nil
	}
	return []byte(text), nil
}

// wire returns the request as it goes over the connection: what the case says,
// with Host and Content-Length where it does not.
func (step *exchangeStep) wire() []byte {
	target := step.target
	if !strings.HasPrefix(target, "/") && target != "*" {
		target = "/<name>" + target
	}
	names := map[string]bool{}
	for _, line := range step.headers {
		name, _, _ := strings.Cut(line, ":")
		names[strings.ToLower(name)] = true
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", step.method, fill(target, step.known))
	if !names["host"] {
		b.WriteString("Host: localhost\r\n")
	}
	if len(step.body) > 0 && !names["content-length"] && !names["transfer-encoding"] {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(step.body))
	}
	for _, line := range step.headers {
		b.WriteString(fill(unescape(line), step.known) + "\r\n")
	}
	b.WriteString("\r\n")
	if names["transfer-encoding"] {
		fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(step.body), step.body)
	} else {
		b.Write(step.body)
	}
	return b.Bytes()
}

// unescape turns \xNN into a byte: headers can have bytes that are not UTF-8.
func unescape(line string) string {
	if !strings.Contains(line, `\x`) {
		return line
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
	if err != nil {
		return line
	}
	return text
}

// fill puts values in the place of their placeholders.
func fill(text string, known map[string]string) string {
	for name, value := range known {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// format returns the file's text.
func (c *testCase) format() []byte { return txtar.Format(c.archive) }

// has reports whether the step was marked with an option.
func (step *exchangeStep) has(option string) bool { return slices.Contains(step.options, option) }
