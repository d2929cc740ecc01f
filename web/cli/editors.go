package cli

import (
	"net"
	"sync"
	"time"
)

const (
	// maxEditors is how many connections of editors wait for a function at most.
	maxEditors = 16
	// editorSilence is how long an editor may say nothing at first. Those that attach
	// speak at once; other programs connect to any port, and some stay.
	editorSilence = time.Minute
)

// editors are those that wait for a function. Safe for concurrent use.
type editors struct {
	listener net.Listener
	waiting  chan newcomer
	ended    chan struct{}
	end      sync.Once
	all      sync.WaitGroup
}

// newcomer is one that has connected.
type newcomer struct {
	net.Conn
	said []byte // by now
}

// receiveEditors accepts the connections of editors. The caller closes what it returns,
// which closes the listener.
func receiveEditors(listener net.Listener) *editors {
	e := &editors{listener: listener, waiting: make(chan newcomer), ended: make(chan struct{})}
	e.all.Go(e.accept)
	return e
}

// close ends those that wait. It blocks until they have ended.
func (e *editors) close() {
	e.end.Do(func() { close(e.ended) })
	_ = e.listener.Close()
	e.all.Wait()
}

// accept accepts connections while there are places; others wait in the system.
func (e *editors) accept() {
	places := make(chan struct{}, maxEditors)
	for {
		select {
		case places <- struct{}{}:
		case <-e.ended:
			return
		}
		conn, err := e.listener.Accept()
		if err != nil {
			return // close was called
		}
		e.all.Go(func() {
			defer func() { <-places }()
			e.introduce(conn)
		})
	}
}

// introduce waits until an editor has said something, and then for the function that it is
// for.
func (e *editors) introduce(conn net.Conn) {
	introduced := make(chan struct{})
	defer close(introduced)
	e.all.Go(func() {
		select {
		case <-e.ended:
			_ = conn.Close()
		case <-introduced:
		}
	})
	said := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(editorSilence))
	n, err := conn.Read(said)
	_ = conn.SetReadDeadline(time.Time{})
	if err == nil {
		select {
		case e.waiting <- newcomer{conn, said[:n]}:
			return
		case <-e.ended:
		}
	}
	_ = conn.Close()
}
