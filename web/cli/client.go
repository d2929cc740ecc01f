package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"vivarium/web/api"
)

// defaultServer is the server that commands talk to if none is named.
const defaultServer = "http://127.0.0.1:8080"

// address has the flags of commands that talk to a server.
type address struct {
	Server string `env:"VIVARIUM_SERVER" default:"${server}" placeholder:"URL" help:"The server to talk to. (${default})"`
	APIKey string `name:"api-key" env:"VIVARIUM_API_KEY" placeholder:"SECRET" help:"The secret of a key, where the server requires one. Prefer the environment variable: other users of the machine can't see it."`
}

// connection has the flags of commands that can print JSON.
type connection struct {
	address
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

// remote has the flags of commands that manage what a tenant has.
type remote struct {
	connection
	Tenant string `env:"VIVARIUM_TENANT" placeholder:"TENANT" help:"Act for this tenant, with a key for all tenants. Default: the key's tenant, or all; names then refer to the default tenant."`
}

// serverClient talks to a server. Safe for concurrent use.
type serverClient struct {
	base   string // without a trailing slash
	key    string // secret of the key; may be empty
	tenant string // the tenant that names refer to; empty for the server's default
	http   *http.Client

	known revision // of what the server has answered
}

// connect returns a client for the server that the flags name. It does not
// connect yet.
func (r *remote) connect() (*serverClient, error) {
	c, err := r.connection.connect()
	if err != nil {
		return nil, err
	}
	c.tenant = r.Tenant
	return c, nil
}

// connect returns a client for the server that the flags name. It does not
// connect yet.
func (r *address) connect() (*serverClient, error) {
	u, err := url.Parse(r.Server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("--server %s: write http://HOST:PORT", r.Server)
	}
	base := u.Scheme + "://" + u.Host
	return &serverClient{
		base: base, known: revision{path: revisionFile(base)}, key: strings.TrimSpace(r.APIKey),
		// Neither functions nor the API redirect.
		http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// get sends a GET to the management API. The path's elements must be escaped
// already.
func (c *serverClient) get(ctx context.Context, path string, query url.Values, answer any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, answer)
}

// list returns all items of a list of the management API. Part returns the items of
// a page and the token of the next one.
func list[P, T any](ctx context.Context, c *serverClient, path string, query url.Values, part func(*P) ([]T, string)) ([]T, error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("pageSize", "1000")
	all := []T{}
	for {
		var page P
		if err := c.get(ctx, path, query, &page); err != nil {
			return nil, err
		}
		items, next := part(&page)
		if all = append(all, items...); next == "" {
			return all, nil
		}
		query.Set("pageToken", next)
	}
}

// change is do for requests that return an operation. It decodes the operation's
// response.
func (c *serverClient) change(ctx context.Context, method, path string, body, response any) (*operation, error) {
	var op operation
	if err := c.do(ctx, method, path, body, &op); err != nil {
		return nil, err
	}
	if op.Error != nil {
		return nil, op.Error
	}
	if response != nil && op.Done {
		if err := json.Unmarshal(op.Response, response); err != nil {
			return nil, fmt.Errorf("%s: unexpected response: %w", c.base, err)
		}
	}
	return &op, nil
}

// operation is an api.Operation as a client decodes it.
type operation struct {
	ID       string
	Done     bool
	Response json.RawMessage
	Error    *api.Status
}

// managed returns the URL of a path of the management API.
func (c *serverClient) managed(path string) string {
	if c.tenant != "" {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + url.Values{"folderId": {c.tenant}}.Encode()
	}
	return c.base + api.BasePath + path
}

// do sends a request to the management API. The body is nil, a *progress, or what to
// send as JSON.
func (c *serverClient) do(ctx context.Context, method, path string, body, answer any) error {
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case *progress:
		reader = body
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	response, err := c.send(ctx, method, c.managed(path), reader)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return c.explain(ctx, err)
	}
	if err := api.ErrorOf(response.StatusCode, text); err != nil {
		return c.keyHint(response.StatusCode, err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: unexpected response; is it Vivarium? (%w)", c.base, err)
	}
	return nil
}

// send sends a request with a JSON body. The caller closes the response's.
func (c *serverClient) send(ctx context.Context, method, address string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p, ok := body.(*progress); ok {
		r.ContentLength = p.size
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Api-Key "+c.key)
	}
	r.Header.Set("User-Agent", "vivarium/"+programVersion())
	c.known.send(r)
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	c.known.note(response)
	return response, nil
}

// explain adds to a connection error what to do about it.
func (c *serverClient) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server at %s; start one with: vivarium serve --data DIR, or name another with --server URL", c.base)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w; check --server, and whether the server is running", c.base, err)
}

// keyHint adds how to give a key if one is required.
func (c *serverClient) keyHint(status int, err error) error {
	switch {
	case status == http.StatusUnauthorized && c.key == "":
		return fmt.Errorf("%w; set VIVARIUM_API_KEY to the secret of a key, see vivarium key create --help", err)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s does not know the key in VIVARIUM_API_KEY or --api-key; it may have been deleted", c.base)
	}
	return err
}

// isNotFound reports whether the server doesn't know what was requested.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*api.Status](err)
	return ok && e.Code == api.CodeNotFound
}

// progress is a body that shows the user how much of it has been sent.
type progress struct {
	io.Reader
	w          io.Writer
	size, sent int64
	started    time.Time
	shown      time.Time
	live       bool // w can overwrite a line
}

// newProgress returns body as a reader that reports to w if sending takes long.
func newProgress(body []byte, w io.Writer) *progress {
	return &progress{Reader: bytes.NewReader(body), w: exact(w), size: int64(len(body)), started: time.Now(), live: isTerminal(w)}
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(len(b), 64<<10)]) // in steps, so that progress shows
	p.sent += int64(n)
	now := time.Now()
	late := now.Sub(p.started) > noticeAfter
	switch {
	case p.live && late && (now.Sub(p.shown) > 100*time.Millisecond || err == io.EOF):
		fmt.Fprintf(p.w, "\rvivarium: uploading %s, %d %%", bytesText(p.size), p.sent*100/max(p.size, 1))
		if err == io.EOF {
			fmt.Fprintln(p.w)
		}
		p.shown = now
	case !p.live && late && p.shown.IsZero():
		fmt.Fprintf(p.w, "vivarium: uploading %s ...\n", bytesText(p.size))
		p.shown = now
	}
	return n, err
}

// bytesText formats a size for people.
func bytesText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
