package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vivarium/host/history"
	"vivarium/web/api"
)

// callsCommand implements `vivarium calls`.
type callsCommand struct {
	Function string `arg:"" help:"Name or id of a function, or the id of a call."`
	Since    string `placeholder:"TIME" help:"Start: how long ago, such as 10m, or an RFC 3339 time."`
	Until    string `placeholder:"TIME" help:"End, in the same form as --since."`
	Failed   bool   `help:"Only calls that failed."`
	Request  string `placeholder:"ID" help:"Only calls with this request id."`
	Version  string `placeholder:"ID" help:"Only calls of one version."`
	Limit    int    `default:"20" placeholder:"N" help:"Maximum number of calls, up to 1000; the newest are printed. (${default})"`
	remote
}

// Help is shown by `vivarium calls --help`.
func (*callsCommand) Help() string {
	return `Without a call's id, lists calls, newest first. With one, prints the call: where its time went, its connections, its
event and its answer. Its log: vivarium logs NAME --request ID.

Examples:
  vivarium calls hello --failed
  vivarium calls d4e0123456789abcdefg.019abcdef0122334455
  vivarium replay d4e0123456789abcdefg.019abcdef0122334455 --tag '$latest'`
}

// Run implements the command.
func (c *callsCommand) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	if _, _, ok := history.ParseID(c.Function); ok {
		var call api.Call
		if err := client.get(ctx, callPath(c.Function), nil, &call); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.stdout, call)
		}
		return printCall(s.stdout, call)
	}
	query, err := c.query()
	if err != nil {
		return err
	}
	var answer api.ListCallsResponse
	if err := client.get(ctx, functionPath(c.Function)+"/calls", query, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, answer.Calls)
	}
	if len(answer.Calls) == 0 {
		fmt.Fprintln(s.stderr, "vivarium:", c.nothing())
	}
	rows := [][]string{}
	for _, call := range answer.Calls {
		start := "warm"
		if call.Cold {
			start = "cold"
		}
		rows = append(rows, []string{
			call.ID, timeText(call.ReceivedAt), kindText(call), strconv.Itoa(call.Status), millisText(call.DurationMS), start,
			call.VersionID, shorten(call.Error),
		})
	}
	return printTable(s.stdout, "ID RECEIVED KIND STATUS TOOK START VERSION ERROR", rows)
}

// query returns what the flags ask for.
func (c *callsCommand) query() (url.Values, error) {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, text := range map[string]string{"since": c.Since, "until": c.Until} {
		if text == "" {
			continue
		}
		at, err := moment(text)
		if err != nil {
			return nil, fmt.Errorf("--%s %w", name, err)
		}
		query.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
	if c.Failed {
		query.Set("failed", "true")
	}
	for name, text := range map[string]string{"requestId": c.Request, "versionId": c.Version} {
		if text != "" {
			query.Set(name, text)
		}
	}
	return query, nil
}

// nothing says why nothing is printed.
func (c *callsCommand) nothing() string {
	if c.Since != "" || c.Until != "" || c.Failed || c.Request != "" || c.Version != "" {
		return "no call matches; leave out some of the flags"
	}
	return "there are no calls in the history; call the function, and see that `vivarium function calls` has not turned it off"
}

func callPath(id string) string { return "/calls/" + url.PathEscape(id) }

// kindText says what made a call.
func kindText(c api.Call) string {
	if c.ReplayOf != "" {
		return c.Kind + " replay"
	}
	return c.Kind
}

// millisText returns a time in the unit that suits it.
func millisText(ms float64) string {
	d := time.Duration(ms * 1e6)
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// printCall prints a call for people.
func printCall(w io.Writer, c api.Call) error {
	start := "warm"
	if c.Cold {
		start = "cold"
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("call", "%s", c.ID)
	if c.ReplayOf != "" {
		line("replay of", "%s", c.ReplayOf)
	}
	line("request", "%s", c.RequestID)
	line("version", "%s", c.VersionID)
	line("received", "%s", timeText(c.ReceivedAt))
	line("kind", "%s, %s", c.Kind, start)
	line("status", "%d %s", c.Status, c.Error)
	line("took", "%s: queue %s, instance %s, import %s, handler %s", millisText(c.DurationMS), millisText(c.Phases.QueuingMS),
		millisText(c.Phases.MakingMS), millisText(c.Phases.LoadingMS), millisText(c.Phases.HandlerMS))
	line("processor", "%s", millisText(c.CPUMS))
	line("memory", "%d MB", c.Memory>>20)
	for _, n := range c.Connections {
		line("connection", "%s %s, %d bytes", n.Target, n.Name, n.Bytes)
	}
	for _, reason := range c.Refused {
		line("refused", "%s", reason)
	}
	printText(&b, "event", c.Event)
	printText(&b, "answer", c.Answer)
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printText prints an event or an answer, and what is not there of it.
func printText(b *strings.Builder, what string, t *api.CallText) {
	if t == nil {
		return
	}
	notes := fmt.Sprintf("%d bytes", t.Bytes)
	if t.Base64 {
		notes += ", in base64"
	}
	if t.Cut {
		notes += ", cut"
	}
	if len(t.Redacted) > 0 {
		notes += ", without the values of " + strings.Join(t.Redacted, ", ")
	}
	fmt.Fprintf(b, "\n%s (%s)\n%s\n", what, notes, indented(t.Text))
}

// replayCommand implements `vivarium replay`.
type replayCommand struct {
	ID      string `arg:"" help:"Id of a call, as vivarium calls prints it."`
	Tag     string `placeholder:"TAG" xor:"version" help:"Call the version with this tag, such as $$latest. Default: the version that the call was of."`
	Version string `placeholder:"ID" xor:"version" help:"Call this version."`
	Profile string `placeholder:"FILE" help:"Write where the call's time goes, for go tool pprof, see vivarium run --profile."`
	Event   string `short:"d" placeholder:"EVENT" help:"Call it with another event: the text itself, @FILE, or @- for standard input."`
	remote
}

// Help is shown by `vivarium replay --help`.
func (*replayCommand) Help() string {
	return `Makes a call again and prints its answer; the new call is in the history, too. Values that the history does not keep,
such as those of the header Authorization, are not what they were; --event gives an event with them.

Exit code 0: the function answered; 1: the function failed; 2: anything else.

Examples:
  vivarium replay d4e0123456789abcdefg.019abcdef0122334455
  vivarium replay d4e0123456789abcdefg.019abcdef0122334455 --tag '$latest' -d @event.json`
}

// Run implements the command.
func (c *replayCommand) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	if _, _, ok := history.ParseID(c.ID); !ok {
		return fmt.Errorf("%s is no id of a call; `vivarium calls NAME` shows them, and `--request ID` finds those of a request", c.ID)
	}
	request := api.ReplayCallRequest{VersionID: c.Version, Tag: c.Tag, Profile: c.Profile != ""}
	if c.Event != "" {
		data, err := readData(c.Event, s.stdin)
		switch text := string(data); {
		case err != nil:
			return err
		case utf8.ValidString(text):
			request.Event = &text
		default:
			request.EventBase64 = data
		}
	}
	var call api.Call
	if err := client.do(ctx, http.MethodPost, callPath(c.ID)+":replay", request, &call); err != nil {
		return err
	}
	if c.Profile != "" {
		if err := os.WriteFile(c.Profile, call.Profile, 0o600); err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
	}
	if c.JSON {
		err = printJSON(s.stdout, call)
	} else {
		fmt.Fprintf(s.stderr, "%s: status %d in %s, version %s\n", call.ID, call.Status, millisText(call.DurationMS), call.VersionID)
		if c.Event == "" && len(call.Event.Redacted) > 0 {
			fmt.Fprintf(s.stderr, "called without the values of %s, which are not kept; -d gives an event with them\n", strings.Join(call.Event.Redacted, ", "))
		}
		if call.Answer.Cut {
			fmt.Fprintf(s.stderr, "the answer has %d bytes; this is its beginning\n", call.Answer.Bytes)
		}
		answer := history.Text(*call.Answer)
		err = s.printAnswer(answer.Content())
	}
	if err == nil && call.Error != "" {
		return &exitError{ExitFunction}
	}
	return err
}

// functionCalls implements `vivarium function calls`.
type functionCalls struct {
	Function string    `arg:"" help:"Name or id."`
	Keep     *bool     `negatable:"" help:"Keep its calls in the history, or not, from now on."`
	Redact   *[]string `sep:"," placeholder:"NAMES" help:"Names of headers and fields whose values are not kept, besides the usual ones; an empty text for none."`
	remote
}

// Help is shown by `vivarium function calls --help`.
func (*functionCalls) Help() string {
	return `Without flags, prints what is kept. The values of Authorization, Cookie and the like are never kept; web/README.md lists
all such names.

Examples:
  vivarium function calls hello --no-keep
  vivarium function calls hello --redact email,card-number`
}

// Run implements the command.
func (c *functionCalls) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var f api.Function
	if err := client.get(ctx, functionPath(c.Function), nil, &f); err != nil {
		return err
	}
	policy := api.CallPolicy{}
	if f.Calls != nil {
		policy = *f.Calls
	}
	if c.Keep != nil || c.Redact != nil {
		if c.Keep != nil {
			policy.Off = !*c.Keep
		}
		if c.Redact != nil {
			policy.Redact = *c.Redact
		}
		if _, err := client.change(ctx, http.MethodPatch, functionPath(f.ID), api.UpdateFunctionRequest{Calls: &policy}, &f); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(s.stdout, policy)
	}
	switch {
	case policy.Off:
		_, err = fmt.Fprintln(s.stdout, "calls are not kept")
	case len(policy.Redact) == 0:
		_, err = fmt.Fprintln(s.stdout, "calls are kept, without the values of the usual names")
	default:
		_, err = fmt.Fprintln(s.stdout, "calls are kept, without the values of the usual names and of "+strings.Join(policy.Redact, ", "))
	}
	return err
}
