// Command soak runs the real program under load and faults, and reports whether
// its promises held: `go tool task soak`.
//
// # What runs
//
// The driver starts the program as a child, with its store: a NATS server in
// another child (or the program's own, -store embedded), whose files are on a
// small in-memory disk that can be filled. It deploys functions for several
// tenants over the management API, each with its own key. Neighbours are
// well-behaved: they echo, compute, sleep, write files, count, and talk to a
// server of the driver's. Attackers spin, use up memory, flood logs, kill their
// instances, try others' functions and addresses, hold connections, receive
// without end, send invalid requests, and whatever else the suites of attacks on
// the sandbox contain.
//
// They are called in loops, each call following the previous response, so that
// the program is always busy and half of the calls are hostile. Meanwhile
// versions are replaced and tags moved, and faults are injected one after the
// other (faults.go): the store is suspended, is killed, its disk is full; the
// program is killed, and stopped during calls.
//
// # What must hold
//
//   - Each call of a neighbour gets a response with its own nonce and its own tenant's secret: nothing is lost, wrong or
//     crossed.
//   - Hostile calls end in one of the errors that they may end in, or are told to come later (429); never in a 5xx of the
//     platform's.
//   - Without the store, functions in use keep working. Changes and asynchronous calls are refused with 503, and work
//     again by themselves once it is back.
//   - An asynchronous call that was acknowledged is made, whatever happens: it is found in the function's log, or among
//     the dead letters.
//   - A program that is stopped finishes the calls in progress. One that was killed has, after a restart, everything that
//     it had acknowledged.
//   - After the load, once all is quiet, the program has about as many goroutines and open files as before; once
//     everything is deleted, no instances, and no memory accounted to any.
//   - Its resident memory is flat: the median of the load's last third exceeds that of its second third by at most a tenth
//     plus 32 MiB. Loads of less than two minutes are exempt.
//
// # A cluster
//
// With -cluster there are three nodes and three NATS servers that keep three copies of
// everything. In turns one of the servers is killed and stands still, and one of the nodes is
// killed, stands still, is cut off from the servers and is stopped in order; each comes back.
// A balancer sends calls to the other nodes meanwhile. What must hold:
//
//   - No neighbour's call fails except those that had begun when a node was killed, stood still or was cut off.
//   - No change and no asynchronous call is refused, and each of the latter that was acknowledged is made.
//   - Only while a server is away may a node answer 503 because it does not know yet what a request builds on.
//   - No connected node accepts a key more than two seconds after the answer to its deletion.
//   - A node that was cut off accepts no deleted key once it has been so for longer than it may go on, nor when it is back.
//
// With -upgrade COMMIT nothing fails by itself. Three nodes of an earlier commit are replaced by the
// present program, one after the other: each drains, is stopped in order, and another one is
// started in its place. No call, no change and no asynchronous call may fail for it, and no key that was
// deleted may come back. The earlier program is built in a git worktree, with its own guest: take a commit whose
// guest is in the cache.
//
// Resources are not judged in clusters.
//
// That 99 of 100 calls of neighbours are answered within 100 ms is reported,
// but not enforced: the machine may have other work. For slower calls the
// report tells what took the time, from the program's own log. The exit code is
// 0 if everything listed above held.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"vivarium/host/store/storetest"
	"vivarium/web/cli"
)

// roleVariable selects which role this program plays. The driver's children are
// this same program.
const roleVariable = "VIVARIUM_SOAK_ROLE"

// Roles. Without one, the program starts the driver.
const (
	roleDriver  = "driver"
	roleProgram = "program" // Vivarium
	roleStore   = "store"   // a NATS server
	roleServers = "servers" // one of several NATS servers
)

func main() {
	os.Exit(play(os.Getenv(roleVariable), os.Args[1:], os.Stdout, os.Stderr))
}

// play plays a role and returns the exit code.
func play(role string, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch role {
	case roleProgram:
		return cli.Run(ctx, args, os.Stdin, stdout, stderr)
	case roleStore:
		err = runStore(ctx, args, stdout)
	case roleServers:
		err = storetest.Serve(ctx, args, stdout)
	case roleDriver:
		err = drive(ctx, args, stdout)
	default:
		err = startDriver(ctx, args, stdout, stderr)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && role == "" {
		return max(exit.ExitCode(), 1)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, "soak:", err)
		return 1
	}
	return 0
}

// startDriver runs the driver in a process of its own, which may mount a disk
// that is visible only to it and disappears with it.
func startDriver(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	run := func(confine func(*exec.Cmd)) error {
		cmd, err := again(ctx, roleDriver, args...)
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = time.Minute
		endWithParent(cmd)
		confine(cmd)
		return cmd.Run()
	}
	err := run(privateMounts)
	if errors.Is(err, os.ErrPermission) { // it did not start
		return run(func(*exec.Cmd) {})
	}
	return err
}

// again returns a command that runs this program in another role.
func again(ctx context.Context, role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd, nil
}

// options are the driver's options.
type options struct {
	duration   time.Duration // of the load
	store      string        // "nats" or "embedded"
	program    string        // path; empty means this program itself
	attacks    string        // folder of the suites of attacks on the sandbox
	neighbours int           // loops
	attackers  int           // loops
	memoryMB   int           // for all instances
	cluster    bool          // see clustered
	upgrade    string        // commit that nodes are of at first; see upgrade
}

func parse(args []string, output io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.DurationVar(&o.duration, "duration", 10*time.Minute, "how long the load lasts")
	flags.StringVar(&o.store, "store", storeNATS, "nats: a NATS server that can be stopped and killed; embedded: the program's own")
	flags.StringVar(&o.program, "program", "", "the vivarium to run; by default the one that is built into this command")
	flags.StringVar(&o.attacks, "attacks", "host/testdata/attacks", "the folder with the suites of attacks")
	flags.IntVar(&o.neighbours, "neighbours", 8, "loops that call well-behaved functions")
	flags.IntVar(&o.attackers, "attackers", 8, "loops that call hostile functions")
	flags.IntVar(&o.memoryMB, "max-memory", 2048, "memory of all instances, in MB; tight, so that idle ones have to go")
	flags.BoolVar(&o.cluster, "cluster", false, "three nodes and three NATS servers, of which one each dies, stands still and so on in turns")
	flags.StringVar(&o.upgrade, "upgrade", "", "begin with three nodes of this commit, and replace them under load by the present program")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	case o.store != storeNATS && o.store != storeEmbedded:
		return nil, fmt.Errorf("-store %q: write nats or embedded", o.store)
	}
	return o, nil
}

// Locations of the program's store.
const (
	storeNATS     = "nats"
	storeEmbedded = "embedded"
)
