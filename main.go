// Vivarium runs Python functions, each instance in a WebAssembly sandbox of its
// own. The commands are in package cli; README.md shows how to use them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"vivarium/web/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal shuts down gracefully; a second one, at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
