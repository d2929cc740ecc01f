// Package mcp lets models use a server: it offers sessions and functions as tools, over
// the Model Context Protocol.
//
// Each tool is a request or two to the management API or to a function, made with the
// caller's own key: roles, tenants, quotas and network policy are the server's, and hold
// as for everybody. What a tool returns is structured, and bounded to what a model can
// read: the rest is cut, and the result says so.
//
//	code.go       tools to run code, in a session or alone
//	functions.go  tools to list, read, deploy and call functions, and to read their logs
//	client.go     the requests
//	handler.go    the protocol over HTTP, in front of a server in this process
//
// The protocol itself is the official SDK's, which follows its versions.
package mcp

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Config says for whom the tools work.
type Config struct {
	// Base is the URL of the server, without a slash at its end.
	Base string
	// Do sends a request to it, with the caller's key.
	Do func(*http.Request) (*http.Response, error)
	// Private says that nobody else can send requests to that URL: no result has it.
	Private bool
	// Tenant is the one to act for, with a key of all tenants. Default: the key's.
	Tenant string
	// Version is that of the program.
	Version string
}

// instructions are what a model reads first.
const instructions = `Vivarium runs Python 3.13 in a sandbox. run_code runs a snippet: alone, or in a session that keeps variables, imports and
files (in /tmp, the working directory) between snippets, like a notebook. The last expression is shown; there is no shell, no
pip, no processes, and no network unless allow_net names hosts. fork_session copies a session's state in a millisecond: fork
before you try something risky. End sessions that you don't need.
deploy_function makes an HTTP function of files with handler(event, context) in main.py; call_function calls it, read_logs
shows what it printed.`

// schemas are those of all servers, which have the same tools.
var schemas = sdk.NewSchemaCache()

// New returns a server of the protocol, to be connected with a transport.
func New(config Config) *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "vivarium", Title: "Vivarium", Version: config.Version},
		&sdk.ServerOptions{Instructions: instructions, SchemaCache: schemas, Capabilities: &sdk.ServerCapabilities{
			Tools: &sdk.ToolCapabilities{}, // which never change
		}})
	s.AddReceivingMiddleware(refuseListeners)
	c := &client{config}
	c.addCodeTools(s)
	c.addFunctionTools(s)
	return s
}

// refuseListeners refuses to open streams of notifications. There are none to send, and each
// stream would hold a request, and its tools, for as long as its caller likes.
func refuseListeners(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if method == "subscriptions/listen" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
		}
		return next(ctx, method, r)
	}
}

// tool adds a tool whose handler is do. Its text, unless do returns another one, is the
// result as JSON.
func tool[In, Out any](s *sdk.Server, t *sdk.Tool, do func(context.Context, In) (*sdk.CallToolResult, Out, error)) {
	sdk.AddTool(s, t, func(ctx context.Context, _ *sdk.CallToolRequest, in In) (*sdk.CallToolResult, Out, error) {
		return do(ctx, in)
	})
}

// What tools do to their surroundings, for clients that ask their user first.
var (
	closed = new(false)
	reads  = &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: closed}
	adds   = &sdk.ToolAnnotations{DestructiveHint: new(false), OpenWorldHint: closed}
	ends   = &sdk.ToolAnnotations{DestructiveHint: new(true), IdempotentHint: true, OpenWorldHint: closed}
	runs   = &sdk.ToolAnnotations{DestructiveHint: new(true)}
)
