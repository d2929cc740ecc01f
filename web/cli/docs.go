package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"vivarium/web/manual"
)

// docsCommand implements `vivarium docs`.
type docsCommand struct {
	Words     []string `arg:"" optional:"" help:"What to look for; without words the manual opens at its beginning."`
	Listen    string   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address to serve the manual on; port 0 takes a free one. (${default})"`
	NoBrowser bool     `help:"Print the address and open no browser, as it is done where nobody is at a terminal."`
}

// Help is shown by `vivarium docs --help`.
func (*docsCommand) Help() string {
	return `The manual needs no network. It is served until Ctrl-C.

Examples:
  vivarium docs
  vivarium docs timers
  vivarium docs "is not a mapping"`
}

// Run implements the command.
func (c *docsCommand) Run(ctx context.Context, s *session) error {
	pages, err := manual.Handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	address := "http://" + listener.Addr().String() + "/"
	if len(c.Words) > 0 {
		address += "search.html?q=" + url.QueryEscape(strings.Join(c.Words, " "))
	}
	fmt.Fprintf(s.stdout, "vivarium: the manual is on %s\n", address)
	if !c.NoBrowser && s.interactive() {
		if err := browse(ctx, address); err != nil {
			fmt.Fprintf(s.stderr, "vivarium: no browser opens (%v); open the address yourself\n", err)
		}
	}
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// browse opens an address in the user's browser.
func browse(ctx context.Context, address string) error {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	}
	c := exec.CommandContext(ctx, opener, address)
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // it ends when the browser is told, or with ctx
	return nil
}
