package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"

	"vivarium/host/catalog"
	"vivarium/host/run"
	"vivarium/web/requirements"
)

// followCommand writes the code that is followed to standard output: now, whenever it changes,
// and in answer to each byte on standard input, until that ends. `dev` starts it: a
// process that runs functions gives up the right to files other than its own, and a
// folder that is removed and recreated is a different one to the system.
const followCommand = "__follow"

// followed is the code that a follower reads: that of one function, or of all functions
// of a projectFile.
type followed struct {
	Path, Entrypoint string            // of one function
	Project          string            // folder of the projectFile; empty if there is one function
	Packages         map[string]string // folders of the packages that come with the code, by function; one function is ""
	Runtimes         map[string]string // that these need, by function of the project
}

// edition is what is followed at one time, or why it can't be read.
type edition struct {
	Functions []functionEdition // all that there are, by name
	Err       string
	Answer    bool // somebody has asked for it
	Known     bool // it is the one before, and has nothing else
}

// functionEdition is a function's code at one time, or why it can't be read.
type functionEdition struct {
	Name       string               // in a project
	Spec       *catalog.VersionSpec // in a project
	Timers     map[string]timerFlags
	Archive    []byte
	Entrypoint string
	Notes      []string
	Err        string
	Known      bool // it is as it was in the edition before, and has only the name
}

// bundle returns the code.
func (e *functionEdition) bundle() (*bundle, error) {
	if e.Err != "" {
		return nil, errors.New(e.Err)
	}
	code, err := run.CodeFromZip(e.Archive)
	return &bundle{code: code, archive: e.Archive, entrypoint: e.Entrypoint, notes: e.Notes}, err
}

// functions returns the functions that there are now.
func (f *followed) functions() ([]*projectFunction, error) {
	if f.Project == "" {
		source, err := openSource(f.Path, f.Entrypoint)
		if err != nil {
			return nil, err
		}
		source.packages = f.Packages[""]
		return []*projectFunction{{source: source}}, nil
	}
	p, err := readProject(f.Project)
	if err != nil {
		return nil, err
	}
	for _, function := range p.functions {
		function.source.packages = f.Packages[function.name]
		function.spec.Runtime = cmp.Or(function.spec.Runtime, f.Runtimes[function.name])
	}
	return p.functions, nil
}

// watched returns a source in whose folder all that is followed is.
func (f *followed) watched() (*source, error) {
	if f.Project != "" {
		return openSource(f.Project, "")
	}
	return openSource(f.Path, f.Entrypoint)
}

// editor makes the editions of what is followed.
type editor struct {
	*followed
	stamps map[string]string // of the functions in the last edition
	failed string            // why that could not be read
}

// edition returns what there is now. Asked says that somebody waits for it: what is in
// the edition before is then left out.
func (d *editor) edition(asked bool) *edition {
	e := &edition{Answer: asked}
	functions, err := d.functions()
	if err != nil {
		e.Err = err.Error()
		e.Known = asked && e.Err == d.failed
		d.failed = e.Err
		return e
	}
	e.Known = asked && d.failed == "" && len(functions) == len(d.stamps)
	d.failed = ""
	stamps := map[string]string{}
	for _, f := range functions {
		one := functionEdition{Name: f.name}
		stamp, err := f.source.stamp() // before reading, so that what is saved meanwhile has another
		stamp += fmt.Sprintf("%+v%+v", f.spec, f.Timers)
		last, there := d.stamps[f.name]
		if one.Known = err == nil && there && stamp == last && (asked || d.Project != ""); !one.Known {
			e.Known = false
			d.fill(&one, f)
		}
		if stamps[f.name] = stamp; err != nil {
			stamps[f.name] = ""
		}
		e.Functions = append(e.Functions, one)
	}
	d.stamps = stamps
	return e
}

// fill reads a function's code.
func (d *editor) fill(e *functionEdition, f *projectFunction) {
	b, err := f.source.read()
	if _, installed := d.Packages[f.name]; err == nil && !installed {
		if list, failed := f.source.requirements(); failed != nil || !list.Empty() {
			err = fmt.Errorf("%s has a %s, which is installed when vivarium dev starts; start it again", f.name, requirements.File)
		}
	}
	if err != nil {
		e.Err = err.Error()
		return
	}
	e.Archive, e.Entrypoint, e.Notes = b.archive, b.entrypoint, b.notes
	if d.Project != "" {
		e.Spec, e.Timers = &f.spec, f.Timers
	}
}

// tellEditions writes what is followed to w: now, whenever it changes, and in answer to
// each byte of questions. It blocks until ctx or the questions end, or the reader is
// gone.
func tellEditions(ctx context.Context, f *followed, questions io.Reader, w io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	encoder := gob.NewEncoder(w)
	editor := &editor{followed: f}
	var mu sync.Mutex // one edition at a time
	tell := func(asked bool) {
		mu.Lock()
		defer mu.Unlock()
		if err := encoder.Encode(editor.edition(asked)); err != nil {
			stop(err)
		}
	}
	source, err := f.watched()
	if err != nil {
		return err
	}
	watcher, err := watch(source, func() { tell(false) }) // before the first read, so that nothing is missed
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
	if len(args) != 1 {
		return ExitFailure
	}
	var f followed
	err := json.Unmarshal([]byte(args[0]), &f)
	if err == nil {
		err = tellEditions(ctx, &f, s.stdin, exact(s.stdout))
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

// follow starts to follow code, in another process if this one will give up
// the right to. The caller closes the follower.
func (s *session) follow(ctx context.Context, code *followed, confined bool) (*follower, error) {
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
		f.readers.Go(func() { _ = w.CloseWithError(tellEditions(ctx, code, asked, w)) })
		return f, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", cmp.Or(code.Project, code.Path), err)
	}
	argument, err := json.Marshal(code)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	command := exec.Command(self, followCommand, string(argument))
	command.Stderr = exact(s.stderr)
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", cmp.Or(code.Project, code.Path), err)
	}
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", cmp.Or(code.Project, code.Path), err)
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
