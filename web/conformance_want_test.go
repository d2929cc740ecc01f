package web

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patterns are placeholders in expectations that match anything of a kind.
// Those for known values are in exchangeStep.known.
var patterns = map[string]string{
	"<uuid>":   `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"<int>":    `[0-9]+`,
	"<number>": `[0-9]+\.[0-9]{3}`,
	"<tenth>":  `[0-9]+\.[0-9]00`,
	"<iso>":    `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z`,
	"<token>":  `eyJ[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+`,
	"<clf>":    `[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} \+0000`,
	"<line>":   `[^\n]*`,
	"<...>":    `(?s:.*)`,
}

var placeholder = regexp.MustCompile(`<[a-z.]+(-[a-z]+)?>`)

// matches reports whether text matches an expectation.
func matches(text, want string, known map[string]string) bool {
	want = fill(want, known)
	if !placeholder.MatchString(want) {
		return text == want
	}
	var b strings.Builder
	b.WriteString("^")
	done := 0
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		if pattern, ok := patterns[want[at[0]:at[1]]]; ok {
			b.WriteString(regexp.QuoteMeta(want[done:at[0]]) + pattern)
			done = at[1]
		}
	}
	b.WriteString(regexp.QuoteMeta(want[done:]) + "$")
	return regexp.MustCompile(b.String()).MatchString(text)
}

// expectation is a parsed want section.
type expectation struct {
	status  string
	headers [][2]string
	body    string
}

func parseWant(data []byte) (*expectation, error) {
	head, body, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	e := &expectation{status: lines[0], body: strings.TrimSuffix(body, "\n")}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("not a header: %q", line)
		}
		e.headers = append(e.headers, [2]string{name, strings.TrimSpace(value)})
	}
	return e, nil
}

// observed is the outcome of a call, in the form in which it is compared.
type observed struct {
	status string
	header http.Header
	body   string
	log    []string
}

// check compares the outcome of a step with the expectation; if it matches, it
// checks that each part could have failed.
func (step *exchangeStep) check(t *testing.T, c *testCase) {
	t.Helper()
	want, err := parseWant(step.want.Data)
	if err != nil {
		t.Error(err)
		return
	}
	got := observed{strconv.Itoa(step.answer.StatusCode), step.answer.Header, step.answer.text, step.lines}
	if step.answer.StatusCode == 0 {
		got.status = "none"
	}
	faults := step.faults(got, want)
	if len(faults) > 0 && *update {
		step.rewrite(got, want)
		c.changed = true
		return
	}
	for _, fault := range faults {
		t.Errorf("%s%s", prefixed(step.title), fault)
	}
	if len(faults) > 0 {
		return
	}
	for _, what := range slices.Sorted(maps.Keys(got.falsified(want, step.log != nil))) {
		if other := got.falsified(want, step.log != nil)[what]; len(step.faults(other, want)) == 0 {
			t.Errorf("%sthe case does not notice %s", prefixed(step.title), what)
		}
	}
	step.checkTokens(t)
	step.checkReport(t)
}

func prefixed(title string) string {
	if title == "" {
		return ""
	}
	return title + ": "
}

// faults lists the differences from an expectation.
func (step *exchangeStep) faults(got observed, want *expectation) []string {
	var faults []string
	if got.status != want.status {
		faults = append(faults, fmt.Sprintf("status: got %s, want %s; body %.2000s", got.status, want.status, got.body))
	}
	wanted := http.Header{}
	for _, h := range want.headers {
		wanted.Add(h[0], h[1])
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		values := wanted[name]
		if len(values) == 1 && values[0] == "" {
			values = nil // must be absent
		}
		sent := got.header.Values(name)
		if !slices.EqualFunc(sent, values, func(a, b string) bool { return matches(a, b, step.known) }) {
			faults = append(faults, fmt.Sprintf("header %s: got %q, want %q", name, sent, values))
		}
	}
	if fault := step.bodyFault(got.body, want.body); fault != "" {
		faults = append(faults, fault)
	}
	if step.log != nil {
		text, wanted := strings.Join(got.log, "\n"), strings.TrimSuffix(string(step.log.Data), "\n")
		if !matches(text, wanted, step.known) {
			faults = append(faults, fmt.Sprintf("log: got\n%s\nwant\n%s", text, fill(wanted, step.known)))
		}
	}
	return faults
}

func (step *exchangeStep) bodyFault(got, want string) string {
	if size, ok := strings.CutPrefix(want, "size: "); ok {
		if strconv.Itoa(len(got)) != size {
			return fmt.Sprintf("body: got %d bytes, want %s", len(got), size)
		}
		return ""
	}
	if strings.HasPrefix(want, "hex: ") || strings.HasPrefix(want, "repeat: ") {
		raw, err := parseBody(want)
		if err != nil || got != string(raw) {
			return fmt.Sprintf("body: got %.200q, want %s (%v)", got, want, err)
		}
		return ""
	}
	if !matches(got, want, step.known) {
		return fmt.Sprintf("body: got\n%s\nwant\n%s", got, fill(want, step.known))
	}
	return ""
}

// falsified returns copies of the observation, each with one thing changed that
// the expectation names.
func (o observed) falsified(want *expectation, log bool) map[string]observed {
	changed := map[string]observed{}
	other := o
	other.status = "1" + o.status
	changed["another status"] = other
	for _, h := range want.headers {
		other := o
		other.header = o.header.Clone()
		if h[1] == "" {
			other.header.Set(h[0], "~")
		} else {
			other.header.Del(h[0])
			changed["the lack of header "+h[0]] = other
			other.header = o.header.Clone()
			other.header.Set(h[0], "~"+other.header.Get(h[0]))
		}
		changed["another header "+h[0]] = other
	}
	if want.body != "<...>" {
		other := o
		other.body = o.body + "~"
		changed["something after the body"] = other
		other.body = "~" + o.body
		changed["something before the body"] = other
		if o.body != "" {
			other.body = o.body[1:]
			changed["a shorter body"] = other
		}
	}
	if log {
		other := o
		other.log = append(slices.Clone(o.log), "UNSPECIFIED ~")
		changed["one more log entry"] = other
		for i, line := range o.log {
			other.log = slices.Delete(slices.Clone(o.log), i, i+1)
			changed["the lack of log entry "+line] = other
			other.log = slices.Clone(o.log)
			other.log[i] = "~" + line
			changed["another level in log entry "+line] = other
		}
	}
	return changed
}

// rewrite turns an observation into an expectation, with placeholders for what
// varies.
func (step *exchangeStep) rewrite(got observed, want *expectation) {
	var b strings.Builder
	fmt.Fprintln(&b, got.status)
	for _, h := range want.headers {
		values := got.header.Values(h[0])
		if len(values) == 0 {
			fmt.Fprintf(&b, "%s:\n", h[0])
		}
		for _, value := range values {
			fmt.Fprintf(&b, "%s: %s\n", h[0], step.generalize(value))
		}
	}
	switch {
	case strings.ContainsRune(got.body, 0) || strings.ToValidUTF8(got.body, "") != got.body:
		fmt.Fprintf(&b, "\nhex: %s\n", hex.EncodeToString([]byte(got.body)))
	case len(got.body) > 64<<10:
		fmt.Fprintf(&b, "\nsize: %d\n", len(got.body))
	case got.body != "":
		fmt.Fprintf(&b, "\n%s\n", step.generalize(got.body))
	}
	step.want.Data = []byte(b.String())
	if step.log != nil {
		step.log.Data = []byte(step.generalize(strings.Join(got.log, "\n")) + "\n")
	}
}

var varying = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`(/(?:function/runtime|usr/lib)/[a-z0-9._/]*\.py\\?", line )\d+`), "${1}<int>"},
	{regexp.MustCompile(`Task-[0-9]+`), "Task-<int>"},
	{regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z`), "<iso>"},
	{regexp.MustCompile(`[0-9]+\.[0-9]{3} ms`), "<number> ms"},
	{regexp.MustCompile(`Used: [0-9]+ MB`), "Used: <int> MB"},
	{regexp.MustCompile(`eyJ[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+`), "<token>"},
}

// generalize puts placeholders in the place of what is different each time.
func (step *exchangeStep) generalize(text string) string {
	names := slices.SortedFunc(maps.Keys(step.known), func(a, b string) int { return len(step.known[b]) - len(step.known[a]) })
	for _, name := range names {
		if value := step.known[name]; len(value) > 3 {
			text = strings.ReplaceAll(text, value, name)
		}
	}
	for _, v := range varying {
		text = v.what.ReplaceAllString(text, v.with)
	}
	return text
}

// checkDeploy compares an error of deploying with the wanted one.
func (c *testCase) checkDeploy(t *testing.T, err error) {
	t.Helper()
	got := "no error"
	if err != nil {
		got = err.Error()
	}
	switch {
	case c.deployError == nil:
		t.Errorf("deploy: %s", got)
	case *update && !matches(got, *c.deployError, nil):
		for i, file := range c.archive.Files {
			if file.Name == "deploy error" {
				c.archive.Files[i].Data = []byte(got + "\n")
			}
		}
		c.changed = true
	case !matches(got, *c.deployError, nil):
		t.Errorf("deploy: got %s, want %s", got, *c.deployError)
	case matches("no error", *c.deployError, nil):
		t.Error("the case does not notice that there is no error")
	}
}

var tokenText = regexp.MustCompile(patterns["<token>"])

// checkTokens checks that the host accepts each token that the step's answer has
// where one is expected.
func (step *exchangeStep) checkTokens(t *testing.T) {
	t.Helper()
	if !strings.Contains(string(step.want.Data), "<token>") {
		return
	}
	h, _ := realHost() // startSuite has looked at the error
	for _, token := range tokenText.FindAllString(step.answer.text, -1) {
		claims, err := h.Tokens().Verify(token, time.Now())
		if err != nil || time.Until(claims.ExpiresAt) <= 0 {
			t.Errorf("the host does not accept its token: %+v, %v", claims, err)
		}
	}
}
