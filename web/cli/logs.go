package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vivarium/host/logs"
	"vivarium/web/api"
)

// logsCommand implements `vivarium logs`.
type logsCommand struct {
	Function string `arg:"" help:"Name or id."`
	Follow   bool   `short:"f" help:"Continue with new entries as they come."`
	Since    string `default:"1h" placeholder:"TIME" help:"Start: how long ago, such as 10m, or an RFC 3339 time. (${default})"`
	Until    string `placeholder:"TIME" help:"End, in the same form as --since."`
	Level    string `placeholder:"LEVEL" help:"Only this level and higher: trace, debug, info, warn, error, fatal."`
	Filter   string `placeholder:"TEXT" help:"Only entries whose message contains this text, in upper or lower case."`
	Request  string `placeholder:"ID" help:"Only entries of one call."`
	Limit    int    `default:"1000" placeholder:"N" help:"Maximum number of entries; the newest are kept. (${default})"`
	remote
}

// Run implements the command.
func (c *logsCommand) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	query := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	for name, text := range map[string]string{"since": c.Since, "until": c.Until} {
		if text == "" {
			continue
		}
		at, err := moment(text)
		if err != nil {
			return fmt.Errorf("--%s %w", name, err)
		}
		query.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
	for name, text := range map[string]string{
		"minLevel": strings.ToUpper(c.Level), "contains": c.Filter, "requestId": c.Request,
	} {
		if text != "" {
			query.Set(name, text)
		}
	}
	path := functionPath(c.Function) + ":logs"
	if c.Follow {
		query.Set("follow", "true")
		return c.follow(ctx, s, client, path+"?"+query.Encode())
	}
	var answer api.ListLogsResponse
	if err := client.get(ctx, path, query, &answer); err != nil {
		return err
	}
	if len(answer.Entries) == 0 && !c.JSON {
		fmt.Fprintln(s.stderr, "vivarium:", c.nothing())
	}
	for _, e := range answer.Entries {
		if err := c.print(s, e); err != nil {
			return err
		}
	}
	return nil
}

// nothing says why nothing is printed.
func (c *logsCommand) nothing() string {
	switch {
	case c.Level != "" || c.Filter != "" || c.Request != "":
		return "no entry matches; leave out --level, --filter or --request, or go back further with --since 24h"
	case c.Until != "":
		return "there are no entries in that time"
	}
	return fmt.Sprintf("there are no entries since %s; go back further with --since 24h", c.Since)
}

// moment parses a time given by the user.
func moment(text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s: write how long ago, such as 10m or 24h, or a time such as 2026-01-02T15:04:05Z", text)
	}
	return at, nil
}

// follow prints entries until the user ends it.
func (c *logsCommand) follow(ctx context.Context, s *session, client *serverClient, path string) error {
	response, err := client.send(ctx, http.MethodGet, client.managed(path), nil)
	if errors.Is(err, errInterrupted) {
		return nil
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return client.keyHint(response.StatusCode, api.ErrorOf(response.StatusCode, text))
	}
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: the server ended the log; start the command again", client.base)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var e api.LogEntry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s: a line of the log is not JSON: %w", client.base, err)
		}
		if err := c.print(s, e); err != nil {
			return err
		}
	}
}

// print prints an entry, for scripts as a line of JSON.
func (c *logsCommand) print(s *session, e api.LogEntry) error {
	var line []byte
	if c.JSON {
		var err error
		if line, err = json.Marshal(e); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		line = harmlessJSON(line)
	} else {
		text := time.Time(e.Timestamp).Local().Format("2006-01-02 15:04:05.000") + " "
		if e.Level != string(logs.LevelUnspecified) && logs.LevelOf(e.Message) == "" {
			text += e.Level + " "
		}
		text += e.Message
		if len(e.JSONPayload) > 0 && !bytes.HasPrefix(e.JSONPayload, []byte(`{"request_id":`)) {
			text += " " + string(e.JSONPayload)
		}
		line = []byte(indented(text))
	}
	if _, err := s.stdout.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
