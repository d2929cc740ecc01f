package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	// recoverLimit is how long the program may take to recover from a fault.
	recoverLimit = time.Minute
	// longOutage is long enough for changes to be refused rather than delayed.
	longOutage = 20 * time.Second
	// longForm is the duration from which on rare events are judged.
	longForm = 2 * time.Minute
)

// hurt injects faults during the load.
func (s *single) hurt(ctx context.Context) error {
	outage := min(s.d.duration/10, longOutage)
	faults := []func(context.Context, time.Duration){s.freezeStore, s.killStore, s.fillDisk}
	if s.store == nil {
		faults = faults[2:]
	}
	share := s.d.duration / time.Duration(len(faults)+2)
	s.d.ledger.begin("load")
	pause(ctx, share)
	for _, fault := range faults {
		started := time.Now()
		fault(ctx, outage)
		s.d.ledger.begin("load after it")
		pause(ctx, share-time.Since(started))
	}
	s.d.ledger.begin("load at the end")
	pause(ctx, share)

	s.d.gate.Lock()
	s.d.ledger.begin("rest")
	s.d.queue.drain(ctx, time.Minute)
	s.watch.afterLoad(ctx)
	s.d.explain(ctx)
	var err error
	if s.d.duration >= longForm {
		err = s.killProgram(ctx)
	}
	s.d.gate.Unlock()
	if err != nil {
		return err
	}
	s.d.ledger.begin("load after it")
	pause(ctx, min(share, longOutage))
	if err := s.endProgram(ctx); err != nil {
		return err
	}
	s.d.ledger.begin("load after a restart")
	pause(ctx, min(share, longOutage))
	return nil
}

// freezeStore suspends the store: its connections stay, but it does not
// respond.
func (s *single) freezeStore(ctx context.Context, outage time.Duration) {
	s.withoutStore(ctx, "store stands still", outage, func() error {
		s.store.signal(syscall.SIGSTOP)
		return nil
	}, func() error {
		s.store.signal(syscall.SIGCONT)
		return nil
	})
}

// killStore kills the store and restarts it.
func (s *single) killStore(ctx context.Context, outage time.Duration) {
	s.withoutStore(ctx, "store is killed", outage, func() error {
		s.store.kill()
		return nil
	}, func() error { return s.startStore(ctx, s.store.address) })
}

// fillDisk fills the store's disk. A NATS server stops writing after a failed
// write, so its operator has to restart it; the program's own store recovers by
// itself.
func (s *single) fillDisk(ctx context.Context, outage time.Duration) {
	if s.d.disk == nil {
		return
	}
	s.withoutStore(ctx, "disk is full", outage, s.d.disk.fill, func() error {
		if err := s.d.disk.free(); err != nil || s.store == nil {
			return err
		}
		if err := s.store.end(time.Minute); err != nil {
			return err
		}
		return s.startStore(ctx, s.store.address)
	})
}

// withoutStore takes the store away for a while, and waits until the program
// works again.
func (s *single) withoutStore(ctx context.Context, name string, outage time.Duration, take, give func() error) {
	l := s.d.ledger
	p := l.begin(name)
	over := l.hinder(withoutStore)
	defer over()
	if err := take(); err != nil {
		l.breach("soak", "%s: %v", name, err)
		return
	}
	pause(ctx, outage)
	for _, n := range s.d.neighbours { // functions in use keep working
		n.call(ctx, l)
	}
	l.mu.Lock()
	refused := p.refused
	l.mu.Unlock()
	if err := give(); err != nil {
		l.breach("soak", "after %q: %v", name, err)
		return
	}
	if refused == 0 && outage >= longOutage {
		l.breach("changes are refused without the store", "none was refused in %v", outage)
	}
	l.begin(name + ", and back")
	s.recover(ctx)
}

// recover waits until what needs the store works again.
func (s *single) recover(ctx context.Context) {
	var err error
	for end := time.Now().Add(recoverLimit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		if err = s.works(ctx); err == nil {
			return
		}
	}
	if ctx.Err() == nil {
		s.d.ledger.breach("recovers by itself", "not within %v: %v", recoverLimit, err)
	}
}

// works returns why the program does not work as it should.
func (s *single) works(ctx context.Context) error {
	a, err := s.d.client("").call(ctx, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("not ready: %s", a.body)
	}
	if err := s.d.queue.prints.retag(ctx, "works"); err != nil {
		return err
	}
	return s.d.queue.reconcile(ctx)
}

// burst is how many asynchronous calls are acknowledged right before the
// program is killed. Their outcome is stored, so it can be checked afterwards;
// logs that the program has not stored yet may be lost.
const burst = 30

// killProgram kills the program and restarts it.
func (s *single) killProgram(ctx context.Context) error {
	s.d.ledger.begin("kill -9")
	over := s.d.ledger.hinder(withoutProgram)
	defer over()
	var calls sync.WaitGroup
	for range burst {
		calls.Go(func() { s.d.queue.enqueue(ctx, s.d.queue.fails) })
	}
	calls.Wait()
	s.noteFaults()
	s.program.Load().kill()
	if err := s.startProgram(ctx); err != nil {
		return err
	}
	s.d.queue.drain(ctx, 2*time.Minute)
	return nil
}

// patient is how many calls are in progress when the program is stopped.
const patient = 8

// endProgram stops the program during calls, and restarts it. Calls that had
// begun must be completed.
func (s *single) endProgram(ctx context.Context) error {
	s.d.ledger.begin("SIGTERM")
	const seconds = 4
	body := func(nonce string) []byte {
		return fmt.Appendf(nil, `{"nonce": "%s", "seconds": %d}`, nonce, seconds)
	}
	sleeper := s.d.sleeper()
	var calls sync.WaitGroup
	for range patient {
		calls.Go(func() {
			nonce := nonce()
			a, err := sleeper.client.call(ctx, http.MethodPost, "/"+sleeper.id+sleeper.path, asJSON, body(nonce))
			switch {
			case ctx.Err() != nil:
			case err != nil:
				s.d.ledger.breach("calls in progress are finished", "%v", err)
			default:
				if wrong := sleeper.wrong(sleeper, a, nonce); wrong != "" {
					s.d.ledger.breach("calls in progress are finished", "%s", wrong)
				}
			}
		})
	}
	pause(ctx, seconds*time.Second/2) // they have begun by now
	over := s.d.ledger.hinder(withoutProgram)
	defer over()
	s.noteFaults()
	err := s.program.Load().end(time.Minute)
	calls.Wait()
	if err != nil {
		s.d.ledger.breach("the program ends in order", "%v\n%s", err, s.program.Load().stderr.text())
	}
	return s.startProgram(ctx)
}

// sleeper returns the neighbour that sleeps as long as it is told.
func (d *driver) sleeper() *neighbour {
	for _, n := range d.neighbours {
		if n.entry == "neighbour.sleeper" {
			return n
		}
	}
	panic("no sleeper")
}

// deleteAll deletes all functions and checks what is left of them.
func (s *single) deleteAll(ctx context.Context) error {
	s.noteFaults()
	var all struct{ Functions []struct{ ID string } }
	if err := s.d.client("").manage(ctx, http.MethodGet, "/functions?pageSize=1000", nil, &all); err != nil {
		return err
	}
	if want := len(s.d.neighbours) + len(s.d.attackers) + 3; len(all.Functions) != want {
		s.d.ledger.breach("lost", "%d functions are there after the restarts, %d were deployed", len(all.Functions), want)
	}
	for _, f := range all.Functions {
		if err := s.d.client("").manage(ctx, http.MethodDelete, "/functions/"+f.ID, nil, nil); err != nil {
			return err
		}
	}
	s.watch.atEnd(ctx)
	return nil
}

// noteFaults counts faults of its own that the running program has logged.
func (s *single) noteFaults() {
	p := s.program.Load()
	if n := p.stderr.faults(); n > 0 {
		s.d.ledger.breach("logs no fault of its own", "%d times\n%s", n, p.stderr.text())
	}
}
