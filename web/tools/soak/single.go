package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// single is one program with its store.
type single struct {
	d       *driver
	watch   *watch
	store   *process // nil if it is embedded
	program atomic.Pointer[process]
}

func newSingle(d *driver) *single {
	s := &single{d: d}
	s.watch = &watch{s: s}
	return s
}

func (s *single) start(ctx context.Context) error {
	if s.d.options.store == storeNATS {
		if err := s.startStore(ctx, "127.0.0.1:0"); err != nil {
			return err
		}
	}
	if err := s.startProgram(ctx); err != nil {
		return err
	}
	s.watch.atStart()
	return nil
}

func (s *single) startStore(ctx context.Context, address string) error {
	cmd, err := again(context.WithoutCancel(ctx), roleStore, filepath.Join(s.d.dir, "nats"), address)
	if err != nil {
		return err
	}
	s.store, err = startProcess(cmd)
	return err
}

// startProgram starts Vivarium on the store as it is.
func (s *single) startProgram(ctx context.Context) error {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--max-memory", fmt.Sprint(s.d.memoryMB), "--cache-dir", s.d.cache,
		"--allow-net=" + s.d.peer.address}
	if s.store != nil {
		args = append(args, "--nats", "nats://"+s.store.address)
	} else {
		args = append(args, "--data", filepath.Join(s.d.dir, "data"))
	}
	ctx = context.WithoutCancel(ctx) // it is stopped in order
	cmd, err := again(ctx, roleProgram, args...)
	if s.d.options.program != "" {
		cmd, err = exec.CommandContext(ctx, s.d.options.program, args...), nil
	}
	if err != nil {
		return err
	}
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	s.program.Store(p)
	return nil
}

func (s *single) base() string { return "http://" + s.program.Load().address }

// deployed has nothing to do: what is deployed is known.
func (*single) deployed(context.Context) {}

func (s *single) rested(ctx context.Context) { s.watch.beforeLoad(ctx) }

func (s *single) queues(n int) (*function, time.Duration) {
	f := s.d.queue.prints
	if n%20 == 0 {
		f = s.d.queue.fails
	}
	return f, 50 * time.Millisecond
}

func (s *single) beside(ctx context.Context) { s.watch.keep(ctx) }

func (s *single) finish(ctx context.Context) error {
	err := s.deleteAll(ctx)
	s.watch.judge()
	return err
}

func (s *single) report(t io.Writer) { s.watch.report(t) }

func (s *single) lastWords() string { return s.program.Load().stderr.text() }

func (s *single) stop() (err error) {
	if p := s.program.Load(); p != nil {
		err = p.end(time.Minute)
	}
	if s.store != nil {
		s.store.kill()
	}
	return err
}
