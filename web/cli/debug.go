package cli

import (
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"unicode/utf8"

	"vivarium/host/catalog"
)

// debugging has the flags for debugging a function.
type debugging struct {
	Debug     bool `xor:"debugger" help:"Debug the function in this terminal: breakpoint() and uncaught exceptions open pdb. While that waits, time stands still for the call."`
	DebugPort int  `xor:"debugger" placeholder:"PORT" help:"Debug the function in an editor, which attaches by the debug adapter protocol to this port of 127.0.0.1. The first call waits for it. While the function stands, time stands still for the call."`
}

// debugger connects the function with who debugs it. A nil one debugs nothing.
type debugger struct {
	s        *session
	terminal *terminal
	editors  *editors  // nil: the debugger is at the terminal
	typing   sync.Once // begins to pass on what is typed

	mu       sync.Mutex // guards the members below
	current  net.Conn   // gets what is typed
	closed   bool
	attached sync.WaitGroup // connections of instances
}

// open returns the debugger that the flags ask for, nil for none. The caller closes it.
func (f debugging) open(s *session, t *terminal) (*debugger, error) {
	if !f.Debug && f.DebugPort == 0 {
		return nil, nil
	}
	t.debugging = true
	d := &debugger{s: s, terminal: t}
	if f.Debug {
		return d, nil
	}
	if f.DebugPort < 1 || f.DebugPort > 65535 {
		return nil, fmt.Errorf("--debug-port %d: is no port", f.DebugPort)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.DebugPort)))
	if err != nil {
		return nil, fmt.Errorf("--debug-port: %w", err)
	}
	d.editors = receiveEditors(listener)
	return d, nil
}

// close ends the waiting for editors. It blocks until nothing is shown any more, for which
// all instances have to be gone.
func (d *debugger) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	if d.editors != nil {
		d.editors.close()
	}
	d.attached.Wait()
}

// change makes a version one that is debugged: it has one instance.
func (d *debugger) change(spec *catalog.VersionSpec, code *source) {
	if d == nil {
		return
	}
	spec.MaxInstances = 1
	environment := map[string]string{"VIVARIUM_DEBUG": "pdb"}
	if d.editors != nil {
		environment["VIVARIUM_DEBUG"] = "dap"
		if root, err := filepath.Abs(code.dir()); err == nil {
			environment["VIVARIUM_DEBUG_ROOT"] = root
		}
	}
	maps.Copy(environment, spec.Environment)
	spec.Environment = environment
}

// attachment returns what takes the connections of instances; nil if there is no
// debugger.
func (d *debugger) attachment() func(net.Conn) {
	if d == nil {
		return nil
	}
	return func(function net.Conn) {
		defer function.Close()
		d.mu.Lock()
		closed := d.closed
		if !closed {
			d.attached.Add(1)
			d.current = function
		}
		d.mu.Unlock()
		if closed {
			return
		}
		defer d.attached.Done()
		if d.editors != nil {
			d.attachEditor(function)
		} else {
			d.attachTerminal(function)
		}
	}
}

// attachEditor waits for an editor and passes on what the two say until one of them is
// gone. A function says nothing before its editor does: one that does has left, or does
// not want an editor.
func (d *debugger) attachEditor(function net.Conn) {
	d.terminal.say("waiting for an editor to attach to %s", d.editors.listener.Addr())
	answered := make(chan []byte, 1) // first; nothing if the function has left
	go func() {
		b := make([]byte, 4096)
		n, _ := function.Read(b)
		answered <- b[:n]
	}()
	var editor newcomer
	select {
	case editor = <-d.editors.waiting:
	case <-answered:
		return
	case <-d.editors.ended:
		return
	}
	defer editor.Close()
	d.terminal.say("an editor is attached")
	done := make(chan struct{}, 2)
	go func() {
		_, _ = function.Write(editor.said)
		_, _ = io.Copy(function, editor)
		done <- struct{}{}
	}()
	go func() {
		if _, err := editor.Write(<-answered); err == nil {
			_, _ = io.Copy(editor, function)
		}
		done <- struct{}{}
	}()
	<-done
	_ = function.Close()
	_ = editor.Close()
	<-done
	d.terminal.say("the editor is gone")
}

// attachTerminal shows what the function's debugger says, and passes on what is typed,
// until the instance is gone.
func (d *debugger) attachTerminal(function net.Conn) {
	d.typing.Do(func() { go d.passTyped() }) // until the program ends: a read of a terminal can't be interrupted
	_, _ = io.Copy(&wholeRunes{w: d.terminal}, function)
}

// passTyped passes what is typed to the debugger that was attached last. When nothing more
// can come, that one is told.
func (d *debugger) passTyped() {
	for b := make([]byte, 4096); ; {
		n, err := d.s.stdin.Read(b)
		d.mu.Lock()
		to := d.current
		d.mu.Unlock()
		_, _ = to.Write(b[:n])
		if half, ok := to.(interface{ CloseWrite() error }); ok && err != nil {
			_ = half.CloseWrite()
		}
		if err != nil {
			return
		}
	}
}

// wholeRunes passes text on in pieces that don't end in the middle of a character, since
// each is filtered by itself.
type wholeRunes struct {
	w    io.Writer
	kept []byte
}

// Write implements io.Writer.
func (t *wholeRunes) Write(b []byte) (int, error) {
	text := append(t.kept, b...)
	end := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if first := text[len(text)-back]; utf8.RuneStart(first) {
			if !utf8.FullRune(text[len(text)-back:]) {
				end = len(text) - back
			}
			break
		}
	}
	t.kept = append([]byte(nil), text[end:]...)
	_, err := t.w.Write(text[:end])
	return len(b), err
}
