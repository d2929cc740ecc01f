package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// invokeCommand implements `vivarium invoke`.
type invokeCommand struct {
	Function string `arg:"" help:"Name or id."`
	Data     string `short:"d" placeholder:"DATA" help:"The handler's input: the text itself, @FILE, or @- for standard input. JSON is parsed for it."`
	Tag      string `placeholder:"TAG" help:"Call the version with this tag. Default: the newest."`
	Async    bool   `help:"Queue the call and print its request id."`
	address
}

// Help is shown by `vivarium invoke --help`.
func (*invokeCommand) Help() string {
	return `The call is in raw mode, as the cloud's own command line makes it: the handler gets the data, and its result
is printed as JSON.

Exit code 0: the function answered; 1: the function failed, and its error is printed as JSON; 2: anything else.

Examples:
  vivarium invoke hello -d '{"name": "Ann"}'
  vivarium invoke hello --tag prod -d @event.json`
}

// Run implements the command.
func (c *invokeCommand) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	data, err := readData(c.Data, s.stdin)
	if err != nil {
		return err
	}
	query := url.Values{"integration": {"raw"}}
	if c.Async {
		query.Set("integration", "async")
	}
	if c.Tag != "" {
		query.Set("tag", c.Tag)
	}
	target := client.base + "/" + url.PathEscape(c.Function) + "?" + query.Encode()
	response, err := client.send(ctx, http.MethodPost, target, bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return client.explain(ctx, err)
	}
	failed := response.Header.Get("X-Function-Error") == "true"
	if !failed && response.StatusCode >= http.StatusBadRequest {
		var e struct{ ErrorMessage string }
		if json.Unmarshal(body, &e) != nil || e.ErrorMessage == "" {
			return fmt.Errorf("%s answered with status %d; is it Vivarium?", client.base, response.StatusCode)
		}
		switch {
		case response.StatusCode == http.StatusNotFound && c.Tag != "":
			return fmt.Errorf("%s; `vivarium version list %s` shows its tags", e.ErrorMessage, c.Function)
		case c.Async && response.StatusCode == http.StatusBadRequest:
			return errors.New(e.ErrorMessage + "; allow such calls with: vivarium deploy --async-retries 2")
		case response.StatusCode == http.StatusNotFound:
			return errors.New(e.ErrorMessage + "; `vivarium function list` shows what there is")
		}
		return client.keyHint(response.StatusCode, errors.New(e.ErrorMessage))
	}
	if c.Async {
		body = append([]byte(response.Header.Get("X-Request-Id")), '\n')
	}
	if err := s.printAnswer(body); err != nil {
		return err
	}
	if failed {
		return &exitError{ExitFunction}
	}
	return nil
}
