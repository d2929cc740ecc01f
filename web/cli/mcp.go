package cli

import (
	"context"
	"errors"
	"io"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/manage"
	"vivarium/web/mcp"
)

// mcpCommand implements `vivarium mcp`.
type mcpCommand struct {
	address
	Tenant   string   `env:"VIVARIUM_TENANT" placeholder:"TENANT" help:"Act for this tenant, with a key for all tenants. Default: the key's."`
	Local    bool     `help:"Use no server: run code and functions in this process, which forgets them when it ends."`
	AllowNet netRules `placeholder:"RULES" help:"With --local: what code may reach, if it asks for it. Default: nothing."`
	confining
}

// Help is shown by `vivarium mcp --help`.
func (*mcpCommand) Help() string {
	return `Speaks the Model Context Protocol on standard input and output, for a client that starts this program. The tools run code
in sessions or alone, and list, read, deploy and call functions on a server, with the rights of the key. "vivarium serve"
offers the same tools over HTTP, at /mcp.

Examples, as a client's command:
  vivarium mcp --local
  vivarium mcp --server https://faas.example.com    with VIVARIUM_API_KEY in the environment`
}

// maxMCPLine bounds a message on standard input, in bytes.
const maxMCPLine = 16 << 20

// Run implements the command.
func (c *mcpCommand) Run(ctx context.Context, s *session) error {
	config := mcp.Config{Tenant: c.Tenant, Version: programVersion()}
	if c.Local {
		server, done, err := c.local(ctx, s)
		if err != nil {
			return err
		}
		defer done()
		config.Base, config.Do, config.Private = "http://localhost", server, true
	} else {
		client, err := c.connect()
		if err != nil {
			return err
		}
		config.Base = client.base
		config.Do = func(r *http.Request) (*http.Response, error) {
			if client.key != "" {
				r.Header.Set("Authorization", "Api-Key "+client.key)
			}
			response, err := client.http.Do(r)
			if err != nil {
				return nil, client.explain(r.Context(), err)
			}
			return response, nil
		}
	}
	err := mcp.New(config).Run(ctx, &sdk.IOTransport{
		Reader: io.NopCloser(s.stdin), Writer: nopWriteCloser{exact(s.stdout)}, MaxLineLength: maxMCPLine,
	})
	if errors.Is(err, io.EOF) || ctx.Err() != nil { // the client has left, or the user has ended it
		return nil
	}
	return err
}

// nopWriteCloser is a writer that stays open.
type nopWriteCloser struct{ io.Writer }

// Close implements io.Closer.
func (nopWriteCloser) Close() error { return nil }

// local starts a server in this process that no one else reaches, and returns what sends
// requests to it. Done ends it.
func (c *mcpCommand) local(ctx context.Context, s *session) (do func(*http.Request) (*http.Response, error), done func(), err error) {
	if c.APIKey != "" || c.Tenant != "" {
		return nil, nil, errors.New("--local: there is no server, so it takes no --api-key and no --tenant")
	}
	confined, err := s.confine(c.confining, reach{egress: c.AllowNet.policy()})
	if err != nil {
		return nil, nil, err
	}
	platform, err := openPlatform(ctx, s, newTerminal(io.Discard), platformConfig{
		temp: confined.temp, egress: c.AllowNet.policy(), dialer: confined.dialer, noCalls: true,
	})
	if err != nil {
		confined.close()
		return nil, nil, err
	}
	desk := manage.New(platform.host)
	server := web.New(web.Config{
		Version:    programVersion(),
		Management: api.New(api.Config{Host: platform.host, Desk: desk, Version: programVersion(), Accept: web.Accept}),
	}, platform.host)
	done = func() {
		_ = platform.close() // the process ends
		confined.close()
	}
	return mcp.Local(server, desk), done, nil
}
