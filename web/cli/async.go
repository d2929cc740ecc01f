package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vivarium/web/api"
)

// deadLetterCommands implements `vivarium dead-letter ...`.
type deadLetterCommands struct {
	List   deadLetterList   `cmd:"" help:"List asynchronous calls that failed for good, oldest first."`
	Replay deadLetterReplay `cmd:"" help:"Queue such calls again."`
}

type deadLetterList struct {
	Function string `arg:"" optional:"" help:"Name or id. Default: all functions."`
	Limit    int    `default:"100" placeholder:"N" help:"Maximum number of dead letters; 0 means all. (${default})"`
	remote
}

// Run implements the command.
func (c *deadLetterList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	letters := []api.DeadLetter{}
	if err := client.deadLetters(ctx, c.Function, c.Limit, func(l api.DeadLetter) error {
		if !c.JSON {
			l.Body = nil // not shown in the table
		}
		letters = append(letters, l)
		return nil
	}); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, letters)
	}
	rows := [][]string{}
	for _, l := range letters {
		rows = append(rows, []string{
			l.ID, l.FunctionID, l.RequestID, strconv.FormatInt(int64(l.Attempts), 10), timeText(l.FailedAt), shorten(l.Error),
		})
	}
	return printTable(s.stdout, "ID FUNCTION REQUEST ATTEMPTS FAILED ERROR", rows)
}

// shorten cuts a text to fit in a table.
func shorten(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return text
}

// deadLetters calls each for dead letters, oldest first, until it returns an
// error, which deadLetters returns. A limit of 0 means all.
func (c *serverClient) deadLetters(ctx context.Context, function string, limit int, each func(api.DeadLetter) error) error {
	query := url.Values{}
	if function != "" {
		query.Set("functionId", function)
	}
	for n := 0; ; {
		query.Set("limit", strconv.Itoa(1000))
		if limit > 0 {
			query.Set("limit", strconv.Itoa(min(limit-n, 1000)))
		}
		var answer api.ListDeadLettersResponse
		if err := c.get(ctx, "/deadLetters", query, &answer); err != nil {
			return err
		}
		for _, l := range answer.DeadLetters {
			if err := each(l); err != nil {
				return err
			}
		}
		n += len(answer.DeadLetters)
		if answer.NextPageToken == "" || n == limit {
			return nil
		}
		query.Set("pageToken", answer.NextPageToken)
	}
}

type deadLetterReplay struct {
	ID       []string `arg:"" optional:"" help:"Ids of dead letters."`
	Function string   `placeholder:"NAME" help:"Replay all dead letters of this function instead."`
	remote
}

// Run implements the command.
func (c *deadLetterReplay) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	if (len(c.ID) > 0) == (c.Function != "") {
		return errors.New("give the ids of dead letters, or --function for all those of a function; `vivarium dead-letter list` shows them")
	}
	if c.Function != "" {
		if err := client.deadLetters(ctx, c.Function, 0, func(l api.DeadLetter) error {
			c.ID = append(c.ID, l.ID)
			return nil
		}); err != nil {
			return err
		}
	}
	replayed := []api.ReplayResponse{}
	for _, id := range c.ID {
		var answer api.ReplayResponse
		if err := client.do(ctx, http.MethodPost, "/deadLetters/"+url.PathEscape(id)+":replay", nil, &answer); err != nil {
			return err
		}
		replayed = append(replayed, answer)
		if !c.JSON {
			fmt.Fprintf(s.stdout, "queued %s, request %s\n", id, answer.RequestID)
		}
	}
	if c.JSON {
		return printJSON(s.stdout, replayed)
	}
	return nil
}

// timerCommands implements `vivarium timer ...`.
type timerCommands struct {
	Create timerCreate `cmd:"" help:"Call a function at the times of a cron expression."`
	List   timerList   `cmd:"" help:"List timers."`
	Delete timerDelete `cmd:"" help:"Delete a timer."`
}

type timerCreate struct {
	Name     string `arg:"" help:"Name of the timer."`
	Function string `arg:"" help:"Name or id of the function."`
	timerFlags
	remote
}

// timerFlags say when a timer calls its function, and with what.
type timerFlags struct {
	Cron     string `required:"" placeholder:"EXPRESSION" help:"As in the cloud, minute hour day month weekday [year] with ? as day or weekday; as in Unix, [second] minute hour day month weekday; or @hourly and the like."`
	TimeZone string `placeholder:"ZONE" help:"As in Europe/Berlin. Default: UTC."`
	Tag      string `placeholder:"TAG" help:"Call the version with this tag. Default: the newest."`
	Payload  string `placeholder:"TEXT" help:"Part of the event."`

	RetryAttempts int           `placeholder:"N" help:"Make a call that fails again, 1 to 5 times. Default: as the version's --async-retries say."`
	RetryInterval time.Duration `placeholder:"DURATION" help:"Before each of them, 10s to 60s."`
}

// request returns the request for a timer.
func (f timerFlags) request(name, function string) api.CreateTimerRequest {
	return api.CreateTimerRequest{
		Name: name, FunctionID: function, Tag: f.Tag, Cron: f.Cron, TimeZone: f.TimeZone, Payload: f.Payload,
		RetryAttempts: api.Int64(f.RetryAttempts), RetryInterval: api.Duration(f.RetryInterval),
	}
}

// Help is shown by `vivarium timer create --help`.
func (*timerCreate) Help() string {
	return `Examples:
  vivarium timer create nightly report --cron '0 3 * * *' --time-zone Europe/Berlin
  vivarium timer create beat pulse --cron '*/10 * * * * *' --payload every-ten-seconds`
}

// Run implements the command.
func (c *timerCreate) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var t api.Timer
	if _, err := client.change(ctx, http.MethodPost, "/timers", c.request(c.Name, c.Function), &t); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, t)
	}
	fmt.Fprintf(s.stdout, "timer %s calls %s next at %s\n", t.Name, c.Function, timeText(t.NextTick))
	return nil
}

type timerList struct {
	Function string `arg:"" optional:"" help:"Name or id. Default: all functions."`
	remote
}

// Run implements the command.
func (c *timerList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	timers, err := client.timers(ctx, c.Function)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, timers)
	}
	rows := [][]string{}
	for _, t := range timers {
		rows = append(rows, []string{t.Name, t.FunctionID, t.Tag, t.Cron, t.TimeZone, timeText(t.LastTick), timeText(t.NextTick)})
	}
	return printTable(s.stdout, "NAME FUNCTION TAG CRON ZONE LAST NEXT", rows)
}

// timers lists the timers of a function, of all if none is named.
func (c *serverClient) timers(ctx context.Context, function string) ([]api.Timer, error) {
	query := url.Values{}
	if function != "" {
		query.Set("functionId", function)
	}
	var answer api.ListTimersResponse
	err := c.get(ctx, "/timers", query, &answer)
	return answer.Timers, err
}

// flagsOf returns what would make a timer like t.
func flagsOf(t api.Timer) timerFlags {
	return timerFlags{
		Cron: t.Cron, TimeZone: t.TimeZone, Tag: t.Tag, Payload: t.Payload,
		RetryAttempts: int(t.RetryAttempts), RetryInterval: time.Duration(t.RetryInterval),
	}
}

type timerDelete struct {
	Timer string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *timerDelete) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	op, err := client.change(ctx, http.MethodDelete, "/timers/"+url.PathEscape(c.Timer), nil, nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, op)
	}
	fmt.Fprintf(s.stdout, "deleted timer %s\n", c.Timer)
	return nil
}
