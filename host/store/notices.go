package store

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

// Notices are what the processes that use a store tell each other. They are kept nowhere:
// who does not listen, or is cut off, misses them. Safe for concurrent use.
type Notices interface {
	// Tell passes a notice on to all who listen, in this process as well. That it has
	// been told does not mean that anybody has heard it.
	//
	// # Errors
	//
	// ErrUnavailable.
	Tell(notice []byte) error

	// Listen calls each for every notice from now on, one at a time. The returned
	// function ends that, and waits until each is not running.
	//
	// # Errors
	//
	// ErrUnavailable.
	Listen(each func(notice []byte)) (stop func(), err error)
}

// jetNotices implements Notices with messages that no stream keeps.
type jetNotices struct{ *jet }

func (n jetNotices) Tell(notice []byte) error {
	// Without a connection the client would keep it, and tell it when it is old.
	if !n.conn.IsConnected() {
		return unavailable("notices", errors.New("no connection"))
	}
	return unavailable("notices", n.conn.Publish(n.names.notices(), notice))
}

func (n jetNotices) Listen(each func([]byte)) (stop func(), err error) {
	heard := make(chan *nats.Msg, 1024) // the client drops what does not fit
	s, err := n.conn.ChanSubscribe(n.names.notices(), heard)
	if err == nil {
		err = n.conn.Flush() // the server knows of it
	}
	if err != nil {
		return nil, unavailable("notices", err)
	}
	listening, end := context.WithCancel(n.link.using)
	return following(end, func() {
		defer func() { _ = s.Unsubscribe() }() // the connection may be gone
		for {
			select {
			case m := <-heard:
				each(m.Data)
			case <-listening.Done():
				return
			}
		}
	}), nil
}

// following runs follow in another goroutine, and returns a function that ends it.
func following(end context.CancelFunc, follow func()) (stop func()) {
	var running sync.WaitGroup
	running.Go(follow)
	return sync.OnceFunc(func() {
		end()
		running.Wait()
	})
}

// memNotices implements Notices within this process.
type memNotices struct {
	*memory

	mu        sync.Mutex // guards listeners
	listeners map[chan []byte]bool
}

func (n *memNotices) Tell(notice []byte) error {
	if err := n.open(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for listener := range n.listeners {
		select {
		case listener <- notice:
		default: // as a server does with those who don't keep up
		}
	}
	return nil
}

func (n *memNotices) Listen(each func([]byte)) (stop func(), err error) {
	if err := n.open(); err != nil {
		return nil, err
	}
	heard := make(chan []byte, 1024)
	n.mu.Lock()
	n.listeners[heard] = true
	n.mu.Unlock()
	listening, end := context.WithCancel(context.Background())
	return following(end, func() {
		defer func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			delete(n.listeners, heard)
		}()
		for {
			select {
			case notice := <-heard:
				each(notice)
			case <-n.ended:
				return
			case <-listening.Done():
				return
			}
		}
	}), nil
}
