// Package cli is Vivarium's command line: its grammar, and the wiring of the
// other packages that each command needs.
//
//	vivarium run          one call of one function, no server
//	vivarium dev          one function over HTTP, redeployed on each save
//	vivarium serve        many functions over HTTP, with the management API
//	vivarium deploy       a new version of a function, to a server
//	vivarium invoke       one call of a function on a server
//	vivarium logs         the log of a function on a server
//	vivarium calls        calls of a function on a server, and one of them
//	vivarium replay       a call, made again
//	vivarium function     list, get, delete, calls
//	vivarium version      of this program; list, get, set-tag, remove-tag
//	vivarium timer        create, list, delete
//	vivarium dead-letter  list, replay
//	vivarium secret       set, list, delete
//	vivarium key          create, list, delete
//	vivarium tenant       quota
//	vivarium mcp          a server's tools for models, over stdio
//	vivarium backup       what a server keeps, in a folder
//	vivarium restore      a backup, as what a server keeps
//	vivarium export       terraform
//	vivarium schema       what a vivarium.yaml may say
//	vivarium docs         the manual, in a browser
//	vivarium completion   a script for bash, zsh or fish
//
// All commands that run functions work in the same way. Code is packed into an
// archive (code.go), as it would be for the cloud; the platform, which is the
// compiled guest and a host, is opened (platform.go); the archive is deployed,
// and calls reach it through the server of package web, over a socket or, for a
// single call, without one. Functions' logs go to the terminal (terminal.go).
// Before the first call the process gives up the rights it does not need
// (confine.go). The other commands talk to a server over HTTP (client.go), in
// the terms of package api.
//
// Code, and the rest of its folder, may be somebody else's: package folder
// reads it, package requirements installs its packages, and whatever is printed
// of it goes through plain.go.
//
// # Exit codes
//
// ExitOK, ExitFunction and ExitFailure tell a caller who is to blame.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	pythonwasi "vivarium/python-wasi"
)

// Exit codes of the program.
const (
	ExitOK       = 0
	ExitFunction = 1 // the function returned an error of its own
	ExitFailure  = 2 // anything else
)

// grammar is the command line as kong reads it.
type grammar struct {
	CacheDir string `name:"cache-dir" env:"VIVARIUM_CACHE" placeholder:"DIR" help:"Directory for compiled machine code, kept between runs. Default: the folder vivarium in your cache directory."`

	Run   runCommand   `cmd:"" help:"Call a function once and print its response."`
	Dev   devCommand   `cmd:"" help:"Serve one function over HTTP and redeploy it on each save."`
	Serve serveCommand `cmd:"" help:"Serve many functions over HTTP, and keep those that are deployed."`

	Deploy     deployCommand      `cmd:"" help:"Send a folder's code to a server, as a new version of a function."`
	Invoke     invokeCommand      `cmd:"" help:"Call a function on a server."`
	Logs       logsCommand        `cmd:"" help:"Print the log of a function on a server."`
	Calls      callsCommand       `cmd:"" help:"List calls of a function on a server, or show one: its event, its answer, where its time went."`
	Replay     replayCommand      `cmd:"" help:"Make a call again, of another version or with another event too."`
	Function   functionCommands   `cmd:"" help:"List, show and delete functions on a server, and set who may call them."`
	Version    versionCommands    `cmd:"" help:"Print this program's version; list, show and tag versions of functions."`
	Session    sessionCommands    `cmd:"" help:"Run snippets on a server one after the other, as the cells of a notebook."`
	Timer      timerCommands      `cmd:"" help:"Call functions on a server at set times."`
	Secret     secretCommands     `cmd:"" help:"Keep, list and delete secrets of functions."`
	Key        keyCommands        `cmd:"" help:"Create, list and delete the keys that a server requires."`
	DeadLetter deadLetterCommands `cmd:"" help:"List and replay asynchronous calls that failed for good."`
	Node       nodeCommands       `cmd:"" help:"Show and drain the nodes of a cluster."`
	Tenant     tenantCommands     `cmd:"" help:"Show and change the quotas of a server's tenants."`
	MCP        mcpCommand         `cmd:"" name:"mcp" help:"Give a model tools to run code, and to deploy and call functions."`
	Backup     backupCommand      `cmd:"" help:"Copy what a server keeps into a folder."`
	Restore    restoreCommand     `cmd:"" help:"Make a data folder, or what NATS servers keep, of a backup."`
	Export     exportCommands     `cmd:"" help:"Describe functions in the languages of other tools."`
	Schema     schemaCommand      `cmd:"" help:"Print a JSON schema of vivarium.yaml, for editors."`
	Docs       docsCommand        `cmd:"" help:"Read the manual, which is part of the program, in a browser."`
	Completion completionCommand  `cmd:"" help:"Print a script that completes commands and flags in a shell."`
}

const description = `Runs Python functions written for Yandex Cloud Functions, each instance in a WebAssembly sandbox of its own.`

// session is what a command gets from its environment.
type session struct {
	stdin          io.Reader
	stdout, stderr io.Writer // filtered by plain
	cacheDir       string    // as the user gave it; may be empty
	ownsProcess    bool      // the process may be confined
}

// Run executes the command line args, given without the program's name, and
// returns the exit code. It blocks until the command is done or ctx ends;
// commands that serve then finish the calls in progress.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runSession(ctx, args, &session{stdin: stdin, stdout: stdout, stderr: stderr})
}

func runSession(ctx context.Context, args []string, s *session) (code int) {
	defer func() { // kong exits after --help, see below
		if r := recover(); r != nil {
			exit, ok := r.(helpShown)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()
	s.stdout, s.stderr = plain{s.stdout}, plain{s.stderr}
	switch { // what users of other programs try
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version" && len(args) == 1:
		args = []string{"version"}
	}
	var g grammar
	parser := newParser(ctx, s, &g)
	if args[0] == completeCommand {
		for _, word := range complete(ctx, parser.Model, args[1:]) {
			fmt.Fprintln(s.stdout, word)
		}
		return ExitOK
	}
	if args[0] == followCommand {
		return runFollow(ctx, s, args[1:])
	}
	if args[0] == brokerCommand {
		return runBroker(ctx, s, args[1:])
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.stderr, "vivarium: %s\nTry: vivarium --help\n", indented(err.Error()))
		return ExitFailure
	}
	s.cacheDir = g.CacheDir
	err = command.Run(s)
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "vivarium:", indented(err.Error()))
		return ExitFailure
	}
	return ExitOK
}

// newParser returns what reads command lines into g.
func newParser(ctx context.Context, s *session, g *grammar) *kong.Kong {
	parser, err := kong.New(g,
		kong.Name("vivarium"), kong.Description(description),
		kong.Writers(s.stdout, s.stderr), kong.Vars{
			"samples": sampleNames(), "runtimes": strings.Join(pythonwasi.Runtimes(), ", "), "server": defaultServer,
		},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(func(code int) { panic(helpShown(code)) }),
	)
	if err != nil { // the grammar is invalid
		panic(err)
	}
	return parser
}

// helpShown is what kong's exit panics with.
type helpShown int

// exitError ends the program with a code and without a message: everything is
// said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
