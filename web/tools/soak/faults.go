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
func (d *driver) hurt(ctx context.Context) error {
	outage := min(d.duration/10, longOutage)
	faults := []func(context.Context, time.Duration){d.freezeStore, d.killStore, d.fillDisk}
	if d.store == nil {
		faults = faults[2:]
	}
	share := d.duration / time.Duration(len(faults)+2)
	d.ledger.begin("load")
	pause(ctx, share)
	for _, fault := range faults {
		started := time.Now()
		fault(ctx, outage)
		d.ledger.begin("load after it")
		pause(ctx, share-time.Since(started))
	}
	d.ledger.begin("load at the end")
	pause(ctx, share)

	d.gate.Lock()
	d.ledger.begin("rest")
	d.queue.drain(ctx, time.Minute)
	d.watch.afterLoad(ctx)
	d.explain(ctx)
	var err error
	if d.duration >= longForm {
		err = d.killProgram(ctx)
	}
	d.gate.Unlock()
	if err != nil {
		return err
	}
	d.ledger.begin("load after it")
	pause(ctx, min(share, longOutage))
	if err := d.endProgram(ctx); err != nil {
		return err
	}
	d.ledger.begin("load after a restart")
	pause(ctx, min(share, longOutage))
	return nil
}

// freezeStore suspends the store: its connections stay, but it does not
// respond.
func (d *driver) freezeStore(ctx context.Context, outage time.Duration) {
	d.withoutStore(ctx, "store stands still", outage, func() error {
		d.store.signal(syscall.SIGSTOP)
		return nil
	}, func() error {
		d.store.signal(syscall.SIGCONT)
		return nil
	})
}

// killStore kills the store and restarts it.
func (d *driver) killStore(ctx context.Context, outage time.Duration) {
	d.withoutStore(ctx, "store is killed", outage, func() error {
		d.store.kill()
		return nil
	}, func() error { return d.startStore(ctx, d.store.address) })
}

// fillDisk fills the store's disk. A NATS server stops writing after a failed
// write, so its operator has to restart it; the program's own store recovers by
// itself.
func (d *driver) fillDisk(ctx context.Context, outage time.Duration) {
	if d.disk == nil {
		return
	}
	d.withoutStore(ctx, "disk is full", outage, d.disk.fill, func() error {
		if err := d.disk.free(); err != nil || d.store == nil {
			return err
		}
		if err := d.store.end(time.Minute); err != nil {
			return err
		}
		return d.startStore(ctx, d.store.address)
	})
}

// withoutStore takes the store away for a while, and waits until the program
// works again.
func (d *driver) withoutStore(ctx context.Context, name string, outage time.Duration, take, give func() error) {
	l := d.ledger
	p := l.begin(name)
	over := l.hinder(withoutStore)
	defer over()
	if err := take(); err != nil {
		l.breach("soak", "%s: %v", name, err)
		return
	}
	pause(ctx, outage)
	for _, n := range d.neighbours { // functions in use keep working
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
	d.recover(ctx)
}

// recover waits until what needs the store works again.
func (d *driver) recover(ctx context.Context) {
	var err error
	for end := time.Now().Add(recoverLimit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		if err = d.works(ctx); err == nil {
			return
		}
	}
	if ctx.Err() == nil {
		d.ledger.breach("recovers by itself", "not within %v: %v", recoverLimit, err)
	}
}

// works returns why the program does not work as it should.
func (d *driver) works(ctx context.Context) error {
	a, err := d.client("").call(ctx, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("not ready: %s", a.body)
	}
	if err := d.queue.prints.retag(ctx, "works"); err != nil {
		return err
	}
	return d.queue.reconcile(ctx)
}

// burst is how many asynchronous calls are acknowledged right before the
// program is killed. Their outcome is stored, so it can be checked afterwards;
// logs that the program has not stored yet may be lost.
const burst = 30

// killProgram kills the program and restarts it.
func (d *driver) killProgram(ctx context.Context) error {
	d.ledger.begin("kill -9")
	over := d.ledger.hinder(withoutProgram)
	defer over()
	var calls sync.WaitGroup
	for range burst {
		calls.Go(func() { d.queue.enqueue(ctx, d.queue.fails) })
	}
	calls.Wait()
	d.noteFaults()
	d.program.Load().kill()
	if err := d.startProgram(ctx); err != nil {
		return err
	}
	d.queue.drain(ctx, 2*time.Minute)
	return nil
}

// patient is how many calls are in progress when the program is stopped.
const patient = 8

// endProgram stops the program during calls, and restarts it. Calls that had
// begun must be completed.
func (d *driver) endProgram(ctx context.Context) error {
	d.ledger.begin("SIGTERM")
	const seconds = 4
	body := func(nonce string) []byte {
		return fmt.Appendf(nil, `{"nonce": "%s", "seconds": %d}`, nonce, seconds)
	}
	sleeper := d.sleeper()
	var calls sync.WaitGroup
	for range patient {
		calls.Go(func() {
			nonce := nonce()
			a, err := sleeper.client.call(ctx, http.MethodPost, "/"+sleeper.id+sleeper.path, asJSON, body(nonce))
			switch {
			case ctx.Err() != nil:
			case err != nil:
				d.ledger.breach("calls in progress are finished", "%v", err)
			default:
				if wrong := sleeper.wrong(sleeper, a, nonce); wrong != "" {
					d.ledger.breach("calls in progress are finished", "%s", wrong)
				}
			}
		})
	}
	pause(ctx, seconds*time.Second/2) // they have begun by now
	over := d.ledger.hinder(withoutProgram)
	defer over()
	d.noteFaults()
	err := d.program.Load().end(time.Minute)
	calls.Wait()
	if err != nil {
		d.ledger.breach("the program ends in order", "%v\n%s", err, d.program.Load().stderr.text())
	}
	return d.startProgram(ctx)
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

// finish checks, after the load, for what was not done and what is left.
func (d *driver) finish(ctx context.Context) error {
	d.ledger.begin("end")
	d.queue.drain(ctx, time.Minute)
	if d.cluster != nil {
		return nil
	}
	return d.deleteAll(ctx)
}

// deleteAll deletes all functions and checks what is left of them.
func (d *driver) deleteAll(ctx context.Context) error {
	d.noteFaults()
	var all struct{ Functions []struct{ ID string } }
	if err := d.client("").manage(ctx, http.MethodGet, "/functions?pageSize=1000", nil, &all); err != nil {
		return err
	}
	if want := len(d.neighbours) + len(d.attackers) + 3; len(all.Functions) != want {
		d.ledger.breach("lost", "%d functions are there after the restarts, %d were deployed", len(all.Functions), want)
	}
	for _, f := range all.Functions {
		if err := d.client("").manage(ctx, http.MethodDelete, "/functions/"+f.ID, nil, nil); err != nil {
			return err
		}
	}
	d.watch.atEnd(ctx)
	return nil
}

// noteFaults counts faults of its own that the running program has logged.
func (d *driver) noteFaults() {
	p := d.program.Load()
	if n := p.stderr.faults(); n > 0 {
		d.ledger.breach("logs no fault of its own", "%d times\n%s", n, p.stderr.text())
	}
}
