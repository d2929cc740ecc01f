package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"vivarium/web/api"
)

// sessionCommands implement `vivarium session`.
type sessionCommands struct {
	Start sessionStart `cmd:"" help:"Begin a session, in which snippets find what those before them have left, and print its id."`
	Run   sessionRun   `cmd:"" help:"Run a snippet in a session, and print what it prints and the value of its last expression."`
	Fork  sessionFork  `cmd:"" help:"Begin a session with the state of another one, and print its id."`
	List  sessionList  `cmd:"" help:"List sessions, oldest first."`
	End   sessionEnd   `cmd:"" help:"End a session."`
}

type sessionStart struct {
	Runtime  string            `placeholder:"NAME" help:"Runtime. Default: that of new functions."`
	Memory   megabytes         `default:"128" placeholder:"MB" help:"Memory limit in MB, a multiple of 128. (${default})"`
	Env      map[string]string `placeholder:"NAME=VALUE" help:"Environment variable. May be given more than once."`
	AllowNet string            `placeholder:"RULES" help:"What it may reach, as for deploy. Default: nothing."`
	Timeout  time.Duration     `default:"10s" help:"Of a snippet. (${default})"`
	Idle     time.Duration     `default:"10m" help:"It ends when it was not used for so long. (${default})"`
	Lifetime time.Duration     `default:"1h" help:"It ends so long after it began. (${default})"`
	remote
}

// Run implements the command.
func (c *sessionStart) Run(ctx context.Context, s *session) error {
	return c.begin(ctx, s, "/sessions", api.CreateSessionRequest{
		Runtime: c.Runtime, Resources: &api.Resources{Memory: api.Int64(c.Memory) << 20}, Environment: c.Env, AllowNet: c.AllowNet,
		ExecutionTimeout: api.Duration(c.Timeout), IdleTimeout: api.Duration(c.Idle), Lifetime: api.Duration(c.Lifetime),
	})
}

// begin makes a session and prints its id.
func (r *remote) begin(ctx context.Context, s *session, path string, body any) error {
	client, err := r.connect()
	if err != nil {
		return err
	}
	var made api.Session
	if err := client.do(ctx, http.MethodPost, path, body, &made); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(s.stdout, made)
	}
	_, err = fmt.Fprintln(s.stdout, made.ID)
	return err
}

type sessionFork struct {
	ID string `arg:"" help:"Id of the session."`
	remote
}

// Run implements the command.
func (c *sessionFork) Run(ctx context.Context, s *session) error {
	return c.begin(ctx, s, sessionPath(c.ID)+":fork", nil)
}

type sessionRun struct {
	ID   string `arg:"" help:"Id of the session."`
	Code string `arg:"" help:"Python; @FILE for a file's, @- for that from standard input."`
	remote
}

// Help is shown by `vivarium session run --help`.
func (*sessionRun) Help() string {
	return `Exit code 1 means that the code raised an exception, or that the session has ended.

Examples:
  ID=$(vivarium session start)
  vivarium session run $ID 'x = 20'
  vivarium session run $ID 'x + 1'
  vivarium session run $ID @cell.py`
}

// Run implements the command.
func (c *sessionRun) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	code, err := readData(c.Code, s.stdin)
	switch {
	case err != nil:
		return err
	case !utf8.Valid(code):
		return fmt.Errorf("the code must be UTF-8 text")
	}
	var result api.SnippetResult
	if err := client.do(ctx, http.MethodPost, sessionPath(c.ID)+":run", api.RunSnippetRequest{Code: string(code)}, &result); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(s.stdout, result)
	} else {
		err = printSnippet(s, result)
	}
	if err == nil && (result.Error != nil || result.ExitCode != nil && *result.ExitCode != 0) {
		return &exitError{ExitFunction}
	}
	return err
}

// printSnippet prints what a snippet printed and showed, as a terminal can show it.
func printSnippet(s *session, result api.SnippetResult) error {
	for _, o := range result.Output {
		to := s.stdout
		if o.Stream == "stderr" {
			to = s.stderr
		}
		if _, err := fmt.Fprint(to, o.Text); err != nil {
			return err
		}
	}
	for _, d := range result.Displays {
		var text string
		if err := json.Unmarshal(d.Data["text/plain"], &text); err == nil {
			fmt.Fprintln(s.stdout, text)
		}
	}
	if e := result.Error; e != nil && e.Traceback != "" {
		fmt.Fprintln(s.stderr, e.Traceback)
	} else if e != nil {
		fmt.Fprintf(s.stderr, "%s: %s\n", e.Type, e.Message)
	}
	return nil
}

type sessionList struct{ remote }

// Run implements the command.
func (c *sessionList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	all := []api.Session{}
	for query := (url.Values{}); ; {
		var answer api.ListSessionsResponse
		if err := client.get(ctx, "/sessions", query, &answer); err != nil {
			return err
		}
		all = append(all, answer.Sessions...)
		if answer.NextPageToken == "" {
			break
		}
		query.Set("pageToken", answer.NextPageToken)
	}
	if c.JSON {
		return printJSON(s.stdout, all)
	}
	rows := [][]string{}
	for _, n := range all {
		rows = append(rows, []string{
			n.ID, n.FolderID, timeText(n.CreatedAt), timeText(n.UsedAt), timeText(n.EndsAt), strconv.Itoa(n.Snippets),
			bytesText(int64(n.MemoryUsed)), n.ParentID,
		})
	}
	return printTable(s.stdout, "ID TENANT BEGAN USED ENDS SNIPPETS MEMORY PARENT", rows)
}

type sessionEnd struct {
	ID string `arg:"" help:"Id of the session."`
	remote
}

// Run implements the command.
func (c *sessionEnd) Run(ctx context.Context, _ *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var done api.Empty
	return client.do(ctx, http.MethodDelete, sessionPath(c.ID), nil, &done)
}

func sessionPath(id string) string { return "/sessions/" + url.PathEscape(id) }
