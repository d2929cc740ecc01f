package cli

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"vivarium/host/run"
)

// followCommand writes a source's code to standard output, now and whenever it
// changes, until standard input ends. `dev` starts it: a process that runs
// functions gives up the right to files other than its own, and a folder that
// is removed and recreated is a different one to the system.
const followCommand = "__follow"

// edition is a source's code at one time, or why it can't be read.
type edition struct {
	Archive    []byte
	Entrypoint string
	Notes      []string
	Err        string
}

// bundle returns the code.
func (e *edition) bundle() (*bundle, error) {
	if e.Err != "" {
		return nil, errors.New(e.Err)
	}
	code, err := run.CodeFromZip(e.Archive)
	return &bundle{code: code, archive: e.Archive, entrypoint: e.Entrypoint, notes: e.Notes}, err
}

// tellEditions writes a source's code to w, now and whenever it changes. It
// blocks until ctx ends, or the reader is gone.
func tellEditions(ctx context.Context, s *source, w io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	encoder := gob.NewEncoder(w)
	var mu sync.Mutex // one edition at a time
	tell := func() {
		mu.Lock()
		defer mu.Unlock()
		var e edition
		if b, err := s.read(); err != nil {
			e.Err = err.Error()
		} else {
			e.Archive, e.Entrypoint, e.Notes = b.archive, b.entrypoint, b.notes
		}
		if err := encoder.Encode(e); err != nil {
			stop(err)
		}
	}
	watcher, err := watch(s, tell) // before the first read, so that nothing is missed
	if err != nil {
		return err
	}
	defer watcher.close()
	tell()
	<-ctx.Done()
	return nil
}

// runFollow runs followCommand.
func runFollow(ctx context.Context, s *session, args []string) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, s.stdin) // waits for its end
		stop()
	}()
	if len(args) != 3 {
		return ExitFailure
	}
	source, err := openSource(args[0], args[1])
	if err == nil {
		source.packages = args[2]
		err = tellEditions(ctx, source, exact(s.stdout))
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "vivarium:", indented(err.Error()))
		return ExitFailure
	}
	return ExitOK
}

// follower receives the editions of a source.
type follower struct {
	editions *gob.Decoder
	end      func() // stops further editions
	readers  sync.WaitGroup
	close    func() // ends it and waits; may be called twice
}

// follow starts to follow a source, in another process if this one will give up
// the right to. The caller closes the follower.
func (s *session) follow(ctx context.Context, source *source, confined bool) (*follower, error) {
	f := &follower{}
	f.close = sync.OnceFunc(func() {
		f.end()
		f.readers.Wait()
	})
	if !confined {
		ctx, stop := context.WithCancel(ctx)
		r, w := io.Pipe()
		f.editions = gob.NewDecoder(r)
		f.end = func() {
			stop()
			_ = r.Close()
		}
		f.readers.Go(func() { _ = w.CloseWithError(tellEditions(ctx, source, w)) })
		return f, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", source.path, err)
	}
	command := exec.Command(self, followCommand, source.path, source.entrypoint, source.packages)
	command.Stderr = exact(s.stderr)
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", source.path, err)
	}
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", source.path, err)
	}
	f.editions = gob.NewDecoder(stdout)
	f.end = func() {
		_ = stdin.Close()
		_ = stdout.Close()
		_ = command.Wait() // its result does not matter
	}
	return f, nil
}

// next blocks until there is an edition, and returns it.
func (f *follower) next() (*edition, error) {
	e := &edition{}
	if err := f.editions.Decode(e); err != nil {
		return nil, err
	}
	return e, nil
}

// each calls do with the editions as they come.
func (f *follower) each(do func(*edition)) {
	f.readers.Go(func() {
		for {
			e, err := f.next()
			if err != nil {
				return // closed, or the program is ending
			}
			do(e)
		}
	})
}
