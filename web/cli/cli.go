// Package cli is Vivarium's command line: its grammar, and the wiring of the
// other packages that each command needs.
//
//	vivarium run          one call of one function, no server
//	vivarium dev          one function over HTTP, deployed anew on each save
//	vivarium serve        many functions over HTTP, with the management API
//	vivarium deploy       a new version of a function, to a server
//	vivarium invoke       one call of a function of a server
//	vivarium logs         what a function of a server has logged
//	vivarium function     list, get, delete
//	vivarium version      of this program; list, get, set-tag, remove-tag
//	vivarium timer        create, list, delete
//	vivarium dead-letter  list, replay
//	vivarium key          create, list, delete
//	vivarium tenant       quota
//	vivarium completion   a script for bash, zsh or fish
//
// Every command that runs functions takes the same way. Code is packed into an
// archive (code.go), as it would be for the cloud; the platform, which is the
// compiled guest and a host, is opened (platform.go); the archive is deployed,
// and calls reach it through the server of package web, over a socket or, for a
// single call, without one. What functions log goes to the terminal
// (terminal.go). Before the first call the process gives up what it does not need
// (confine.go). The others speak to a server over HTTP (client.go), in the terms
// of package api.
//
// Code, and what is in the folder with it, may be somebody else's: package folder
// reads it, package requirements installs its packages, and what is printed of it
// goes through plain.go.
//
// # Exit codes
//
// ExitOK, ExitFunction and ExitFailure tell a caller apart who is to blame.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// Exit codes of the program.
const (
	ExitOK       = 0
	ExitFunction = 1 // the function answered with an error of its own
	ExitFailure  = 2 // anything else
)

// grammar is the command line as kong reads it.
type grammar struct {
	CacheDir string `name:"cache-dir" env:"VIVARIUM_CACHE" placeholder:"DIR" help:"Where compiled machine code is kept between runs. Default: the folder vivarium in your cache directory."`

	Run   runCommand   `cmd:"" help:"Call a function once and print its answer."`
	Dev   devCommand   `cmd:"" help:"Serve one function over HTTP and deploy it anew on each save."`
	Serve serveCommand `cmd:"" help:"Serve many functions over HTTP, and keep those that are deployed."`

	Deploy     deployCommand      `cmd:"" help:"Send a folder's code to a server, as a new version of a function."`
	Invoke     invokeCommand      `cmd:"" help:"Call a function of a server."`
	Logs       logsCommand        `cmd:"" help:"Print what a function of a server has logged."`
	Function   functionCommands   `cmd:"" help:"List, show and delete functions of a server, and say who may call them."`
	Version    versionCommands    `cmd:"" help:"Print this program's version; list, show and tag versions of functions."`
	Timer      timerCommands      `cmd:"" help:"Call functions of a server at certain times."`
	Key        keyCommands        `cmd:"" help:"Make, list and delete the keys that a server asks for."`
	DeadLetter deadLetterCommands `cmd:"" help:"List and replay asynchronous calls that failed for good."`
	Tenant     tenantCommands     `cmd:"" help:"Show and change what tenants of a server may have."`
	Completion completionCommand  `cmd:"" help:"Print a script that completes commands and flags in a shell."`
}

const description = `Runs Python functions written for Yandex Cloud Functions, each instance in a WebAssembly sandbox of its own.`

// session is what a command gets from its surroundings.
type session struct {
	stdin          io.Reader
	stdout, stderr io.Writer // plain
	cacheDir       string    // as the user gave it; may be empty
	ownsProcess    bool      // which may then be confined
}

// Run executes the command line args, which come without the program's name,
// and returns the exit code. It blocks until the command is done or ctx ends;
// commands that serve then finish the calls in progress.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runSession(ctx, args, &session{stdin: stdin, stdout: stdout, stderr: stderr})
}

func runSession(ctx context.Context, args []string, s *session) (code int) {
	defer func() { // kong ends the program after --help, see below
		if r := recover(); r != nil {
			exit, ok := r.(helpShown)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()
	s.stdout, s.stderr = plain{s.stdout}, plain{s.stderr}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	var g grammar
	parser, err := kong.New(&g,
		kong.Name("vivarium"), kong.Description(description),
		kong.Writers(s.stdout, s.stderr), kong.Vars{"samples": sampleNames()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(func(code int) { panic(helpShown(code)) }),
	)
	if err != nil { // the grammar above is wrong
		panic(err)
	}
	if args[0] == completeCommand {
		for _, word := range complete(parser.Model, args[1:]) {
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

// helpShown is what kong's exit panics with.
type helpShown int

// exitError ends the program with a code and without a message: all is said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
