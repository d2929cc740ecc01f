package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"vivarium/web/api"
)

// upgrade is a cluster whose nodes begin with the program of an earlier commit.
type upgrade struct {
	*clustered
	dir string // of the earlier commit; empty until start
}

// start implements target.
func (u *upgrade) start(ctx context.Context) (err error) {
	if u.dir, err = os.MkdirTemp("", "vivarium-soak-earlier-"); err != nil {
		return err
	}
	u.d.say("building the program of %s", u.d.upgrade)
	if u.earlier, err = buildCommit(ctx, u.d.upgrade, u.dir); err != nil {
		return fmt.Errorf("-upgrade %s: %w", u.d.upgrade, err)
	}
	if u.d.program != "" {
		same, err := sameContent(u.earlier, u.d.program)
		if err != nil {
			return err
		}
		if same {
			u.d.say("the program of %s is the present one: nodes are replaced, but by the same", u.d.upgrade)
		}
	}
	return u.clustered.start(ctx)
}

// buildCommit builds the program of a commit in a folder, with its own guest, and returns its
// path. The guest comes from the cache, if it has that commit's; else it takes many minutes.
func buildCommit(ctx context.Context, commit, dir string) (program string, err error) {
	source, program := filepath.Join(dir, "source"), filepath.Join(dir, "vivarium")
	run := func(in, name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = in
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, said.Bytes())
		}
		return nil
	}
	if err := run("", "git", "worktree", "add", "--detach", source, commit); err != nil {
		return "", err
	}
	defer func() {
		ctx = context.WithoutCancel(ctx) // git must not go on listing it
		err = errors.Join(err, run("", "git", "worktree", "remove", "--force", source))
	}()
	if err := run(source, "bash", "python-wasi/build.sh"); err != nil {
		return "", err
	}
	return program, run(source, "go", "build", "-trimpath", "-o", program, ".")
}

// sameContent reports whether two files are the same.
func sameContent(a, b string) (bool, error) {
	one, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(b)
	return bytes.Equal(one, other), err
}

// hurt implements target: the nodes are replaced, one after the other, as the page Operating says.
// Nothing may fail for it, so there is no hindrance.
func (u *upgrade) hurt(ctx context.Context) error {
	share := u.d.duration / (clusterSize + 1)
	u.d.ledger.begin("all nodes are of " + u.d.upgrade)
	pause(ctx, share)
	for i, n := range u.nodes {
		if err := u.replace(ctx, n); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		u.d.ledger.begin(fmt.Sprintf("%d of %d are of now", i+1, clusterSize))
		pause(ctx, share)
	}
	return ctx.Err()
}

// replace has a node drain, stops it, and starts the present program in its place.
func (u *upgrade) replace(ctx context.Context, n *node) error {
	l := u.d.ledger
	l.begin(n.name + " drains")
	var answer api.Node
	err := u.d.client("").plain(ctx, http.MethodPost, "/nodes:drain", api.NodeRequest{Address: n.between}, &answer)
	if err != nil || !answer.Draining {
		return fmt.Errorf("drain: %+v, %w", answer, err)
	}
	pause(ctx, 2*time.Second) // it has calls that had begun, and the balancer goes on to send others
	l.begin(n.name + " is replaced")
	n.down.Store(true)
	if err := n.process.Load().end(time.Minute); err != nil {
		l.breach("a node ends in order", "%v\n%s", err, n.process.Load().stderr.text())
	}
	n.program = u.d.program
	if err := n.start(ctx); err != nil {
		return err
	}
	return u.await(ctx, n)
}

// finish implements target.
func (u *upgrade) finish(ctx context.Context) error {
	u.countImages(ctx)
	var all api.ListNodesResponse
	if err := u.d.client("").manage(ctx, http.MethodGet, "/nodes", nil, &all); err != nil {
		return err
	}
	for _, n := range all.Nodes {
		if n.Draining {
			u.d.ledger.breach("who is replaced takes calls again", "%s drains", n.Address)
		}
	}
	if len(all.Nodes) != clusterSize {
		u.d.ledger.breach("lost", "there are %d nodes", len(all.Nodes))
	}
	return nil
}

// report implements target.
func (u *upgrade) report(t io.Writer) {
	u.reportRevoked(t)
	u.reportImages(t)
}

// stop implements target.
func (u *upgrade) stop() error {
	err := u.clustered.stop()
	if u.dir != "" {
		err = errors.Join(err, os.RemoveAll(u.dir))
	}
	return err
}
