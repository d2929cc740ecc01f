package cli

import (
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"

	"vivarium/host/run"
)

// followCommand writes a source's code to standard output: now, whenever it changes,
// and in answer to each byte on standard input, until that ends. `dev` starts it: a
// process that runs functions gives up the right to files other than its own, and a
// folder that is removed and recreated is a different one to the system.
const followCommand = "__follow"

// edition is a source's code at one time, or why it can't be read.
type edition struct {
	Archive    []byte
	Entrypoint string
	Notes      []string
	Err        string
	Answer     bool // somebody has asked for it
	Known      bool // it is the one before, and has nothing else
}

// bundle returns the code.
func (e *edition) bundle() (*bundle, error) {
	if e.Err != "" {
		return nil, errors.New(e.Err)
	}
	code, err := run.CodeFromZip(e.Archive)
	return &bundle{code: code, archive: e.Archive, entrypoint: e.Entrypoint, notes: e.Notes}, err
}

// tellEditions writes a source's code to w: now, whenever it changes, and in answer to
// each byte of questions. It blocks until ctx or the questions end, or the reader is
// gone.
func tellEditions(ctx context.Context, s *source, questions io.Reader, w io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	encoder := gob.NewEncoder(w)
	var mu sync.Mutex // one edition at a time
	var last string   // the stamp of the last
	tell := func(asked bool) {
		mu.Lock()
		defer mu.Unlock()
		e := edition{Answer: asked}
		stamp, err := s.stamp() // before reading, so that what is saved meanwhile has another
		if e.Known = asked && err == nil && stamp == last; !e.Known {
			last = stamp
			if b, err := s.read(); err != nil {
				e.Err = err.Error()
			} else {
				e.Archive, e.Entrypoint, e.Notes = b.archive, b.entrypoint, b.notes
			}
		}
		if err := encoder.Encode(e); err != nil {
			stop(err)
		}
	}
	watcher, err := watch(s, func() { tell(false) }) // before the first read, so that nothing is missed
	if err != nil {
		return err
	}
	defer watcher.close()
	tell(false)
	go func() {
		question := make([]byte, 1)
		for {
			if _, err := questions.Read(question); err != nil {
				stop(err)
				return
			}
			tell(true)
		}
	}()
	<-ctx.Done()
	return nil
}

// stamp returns a text that changes when a file of the source is saved, without
// reading the files.
func (s *source) stamp() (string, error) {
	sum := sha256.New()
	note := func(info fs.FileInfo, name string) {
		fmt.Fprintln(sum, name, info.Size(), info.ModTime().UnixNano())
	}
	if s.kind != wholeFolder {
		info, err := os.Stat(s.path)
		if err != nil {
			return "", err
		}
		note(info, s.path)
		return string(sum.Sum(nil)), nil
	}
	root, err := s.open()
	if err != nil {
		return "", err
	}
	defer root.Close()
	_, err = walk(root, func(name string) error {
		info, err := root.Lstat(name)
		if err == nil {
			note(info, name)
		}
		return err
	})
	return string(sum.Sum(nil)), err
}

// runFollow runs followCommand.
func runFollow(ctx context.Context, s *session, args []string) int {
	if len(args) != 3 {
		return ExitFailure
	}
	source, err := openSource(args[0], args[1])
	if err == nil {
		source.packages = args[2]
		err = tellEditions(ctx, source, s.stdin, exact(s.stdout))
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "vivarium:", indented(err.Error()))
		return ExitFailure
	}
	return ExitOK
}

// follower receives the editions of a source.
type follower struct {
	editions  *gob.Decoder
	questions io.Writer
	answers   chan struct{} // one for each question; closed when there are no more
	end       func()        // stops further editions
	readers   sync.WaitGroup
	close     func() // ends it and waits; may be called twice

	mu     sync.Mutex    // guards the members below; nothing blocks under it
	next   chan struct{} // closed when the question that is asked next is answered; nil when nobody waits for it
	asking bool
}

// follow starts to follow a source, in another process if this one will give up
// the right to. The caller closes the follower.
func (s *session) follow(ctx context.Context, source *source, confined bool) (*follower, error) {
	f := &follower{answers: make(chan struct{})}
	f.close = sync.OnceFunc(func() {
		f.end()
		f.readers.Wait()
	})
	if !confined {
		ctx, stop := context.WithCancel(ctx)
		r, w := io.Pipe()
		asked, ask := io.Pipe()
		f.editions, f.questions = gob.NewDecoder(r), ask
		f.end = func() {
			stop()
			_ = r.Close()
			_ = asked.Close()
		}
		f.readers.Go(func() { _ = w.CloseWithError(tellEditions(ctx, source, asked, w)) })
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
	f.editions, f.questions = gob.NewDecoder(stdout), stdin
	f.end = func() {
		_ = stdin.Close()
		_ = stdout.Close()
		_ = command.Wait() // its result does not matter
	}
	return f, nil
}

// receive blocks until there is an edition, and returns it.
func (f *follower) receive() (*edition, error) {
	e := &edition{}
	if err := f.editions.Decode(e); err != nil {
		return nil, err
	}
	return e, nil
}

// each calls do with the editions as they come.
func (f *follower) each(do func(*edition)) {
	f.readers.Go(func() {
		defer close(f.answers)
		for {
			e, err := f.receive()
			if err != nil {
				return // closed, or the program is ending
			}
			if !e.Known {
				do(e)
			}
			if e.Answer {
				f.answers <- struct{}{}
			}
		}
	})
}

// current blocks until each's do has had what was saved before, or ctx ends. Callers
// that come while a question is being answered share the next one: that answer may
// be older than what they have saved.
func (f *follower) current(ctx context.Context) {
	f.mu.Lock()
	if f.next == nil {
		f.next = make(chan struct{})
		if !f.asking {
			f.asking = true
			go f.ask()
		}
	}
	answered := f.next
	f.mu.Unlock()
	select {
	case <-answered:
	case <-ctx.Done():
	}
}

// ask asks as long as somebody waits for the answer.
func (f *follower) ask() {
	for {
		f.mu.Lock()
		answered := f.next
		f.next, f.asking = nil, answered != nil
		f.mu.Unlock()
		if answered == nil {
			return
		}
		if _, err := f.questions.Write([]byte{'?'}); err == nil {
			<-f.answers
		}
		close(answered)
	}
}
