package cli

import (
	"context"
	"io"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpClient starts `vivarium mcp`, as a client does, and connects to it.
func mcpClient(t *testing.T, args ...string) *sdk.ClientSession {
	t.Helper()
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	stderr := &lockedBuffer{}
	code := make(chan int, 1)
	go func() {
		code <- Run(context.Background(), append([]string{"mcp"}, args...), in, out, stderr)
		_ = out.Close()
	}()
	transport := &sdk.IOTransport{Reader: fromServer, Writer: toServer}
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = toServer.Close()
		if got := <-code; got != ExitOK {
			t.Errorf("exit code %d: %s", got, stderr)
		}
	})
	return c
}

// callTool calls a tool and returns the text of its result.
func callTool(t *testing.T, c *sdk.ClientSession, tool string, arguments map[string]any) (text string, failed bool) {
	t.Helper()
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range r.Content {
		if piece, ok := part.(*sdk.TextContent); ok {
			text += piece.Text
		}
	}
	return text, r.IsError
}

func TestMCP_WorksAgainstAServer(t *testing.T) {
	c := mcpClient(t, "--server", shared.url)
	if got, failed := callTool(t, c, "run_code", map[string]any{"code": "print('\\x1b')\n6 * 7"}); failed || got != "\x1b\n42" {
		t.Errorf("got %q", got)
	}
	if got, failed := callTool(t, c, "list_functions", nil); failed || !strings.Contains(got, `"echo"`) {
		t.Errorf("got %s", got)
	}
	nobody := mcpClient(t, "--server", "http://127.0.0.1:1")
	if got, failed := callTool(t, nobody, "list_sessions", nil); !failed || !strings.Contains(got, "no server at http://127.0.0.1:1") {
		t.Errorf("without a server: %s", got)
	}
}

func TestMCP_WorksWithoutAServer(t *testing.T) {
	c := mcpClient(t, "--local")
	files := []map[string]any{{"path": "main.py", "text": "def handler(event, context): return event + 1"}}
	for _, call := range []struct {
		tool      string
		arguments map[string]any
		want      string
	}{
		{"run_code", map[string]any{"code": "6 * 7"}, "42"},
		{"deploy_function", map[string]any{"name": "adds", "files": files}, `"name":"adds"`},
		{"call_function", map[string]any{"name": "adds", "event": 1}, `"result":"2"`},
		{"run_code", map[string]any{"code": "import socket\nsocket.create_connection(('127.0.0.1', 1))", "allow_net": "127.0.0.1"}, "PermissionError"},
	} {
		if got, failed := callTool(t, c, call.tool, call.arguments); failed || !strings.Contains(got, call.want) {
			t.Errorf("%s: got %s, want %s", call.tool, got, call.want)
		}
	}
}

func TestMCP_SaysWhatItCannotDo(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--local --api-key x", "takes no --api-key"},
		{"--server ftp://x", "write http://HOST:PORT"},
	} {
		code, out, errs := execute("", append([]string{"mcp"}, strings.Fields(c.args)...)...)
		if code != ExitFailure || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d, %q, %q", c.args, code, out, errs)
		}
	}
}
