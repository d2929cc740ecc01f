package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// driver runs the program, loads it and injects faults.
type driver struct {
	options
	out    io.Writer
	dir    string // of everything that this soak stores
	cache  string // the program's, not on the disk that can be full
	ledger *ledger
	watch  *watch
	http   *http.Client

	peer    *peer
	disk    *disk    // nil if none can be mounted
	store   *process // nil if it is embedded
	program atomic.Pointer[process]
	cluster *clustered // nil if there is one program

	keys       map[string]string // see client
	known      atomic.Value      // likewise
	secrets    map[string]string // of the neighbours' tenants
	neighbours []*neighbour
	attackers  []*attacker
	strikes    *striker
	queue      *queue

	// gate is read-locked during calls. Whoever locks it waits until all calls
	// have ended, and prevents others from starting.
	gate sync.RWMutex
}

// drive is the whole driver.
func drive(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	d := &driver{options: *o, out: out, secrets: map[string]string{}, keys: map[string]string{}}
	d.ledger = newLedger(func(example string) { d.say("BROKEN: %s", example) })
	d.watch = &watch{d: d}
	d.http = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		// Functions' URLs don't redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, tenant := range []string{"anna", "boris", "clara", "dima"} {
		d.secrets[tenant] = secretPrefix + rand.Text()
	}
	strikes, err := readStrikes(o.attacks)
	if err != nil {
		return err
	}
	if d.peer, err = startPeer(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.peer.stop()) }()
	d.neighbours, d.attackers, d.queue = d.newNeighbours(), d.newAttackers(), d.newQueue()
	d.strikes = d.newStriker(strikes)

	d.ledger.begin("start")
	if err := d.start(ctx); err != nil {
		return errors.Join(err, d.stop())
	}
	err = d.soak(ctx)
	if err == nil {
		err = d.report()
	}
	if err != nil {
		fmt.Fprintf(out, "\nthe program's last words:\n%s\n", d.program.Load().stderr.text())
	}
	return errors.Join(err, d.stop())
}

// start creates the disk and starts the store and the program.
func (d *driver) start(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "vivarium-soak-"); err != nil {
		return err
	}
	if err = d.makeCache(); err != nil {
		return err
	}
	if d.disk, err = mountDisk(d.dir); err != nil {
		d.say("no disk in memory, so none will be full: %v", err)
		d.disk = nil
	}
	if d.options.cluster {
		return d.startCluster(ctx)
	}
	if d.options.store == storeNATS {
		if err := d.startStore(ctx, "127.0.0.1:0"); err != nil {
			return err
		}
	}
	return d.startProgram(ctx)
}

// makeCache creates a cache that shares only the machine code with the user's,
// since that takes a while to compile: nothing else of a soak may stay.
func (d *driver) makeCache() (err error) {
	if d.cache, err = os.MkdirTemp("", "vivarium-soak-cache-"); err != nil {
		return err
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	machineCode := filepath.Join(user, "vivarium", "wasm")
	return errors.Join(os.MkdirAll(machineCode, 0o700), os.Symlink(machineCode, filepath.Join(d.cache, "wasm")))
}

func (d *driver) startStore(ctx context.Context, address string) error {
	cmd, err := again(context.WithoutCancel(ctx), roleStore, filepath.Join(d.dir, "nats"), address)
	if err != nil {
		return err
	}
	d.store, err = startProcess(cmd)
	return err
}

// startProgram starts Vivarium on the store as it is.
func (d *driver) startProgram(ctx context.Context) error {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--max-memory", fmt.Sprint(d.memoryMB), "--cache-dir", d.cache,
		"--allow-net=" + d.peer.address}
	if d.store != nil {
		args = append(args, "--nats", "nats://"+d.store.address)
	} else {
		args = append(args, "--data", filepath.Join(d.dir, "data"))
	}
	ctx = context.WithoutCancel(ctx) // it is stopped in order
	cmd, err := again(ctx, roleProgram, args...)
	if d.options.program != "" {
		cmd, err = exec.CommandContext(ctx, d.options.program, args...), nil
	}
	if err != nil {
		return err
	}
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	d.program.Store(p)
	return nil
}

// base returns the program's base URL.
func (d *driver) base() string {
	if d.cluster != nil {
		return d.cluster.base()
	}
	return "http://" + d.program.Load().address
}

// stop ends all processes and removes all files.
func (d *driver) stop() (err error) {
	if d.cluster != nil {
		err = d.cluster.stop()
	} else if p := d.program.Load(); p != nil {
		err = p.end(time.Minute)
	}
	if d.store != nil {
		d.store.kill()
	}
	if d.disk != nil {
		err = errors.Join(err, d.disk.unmount())
	}
	return errors.Join(err, os.RemoveAll(d.dir), os.RemoveAll(d.cache))
}

// say prints a line.
func (d *driver) say(format string, args ...any) {
	fmt.Fprintf(d.out, "soak: "+format+"\n", args...)
}

// deployAll deploys all functions and calls each once.
func (d *driver) deployAll(ctx context.Context) error {
	functions := []*function{d.queue.prints, d.queue.fails, d.strikes.function}
	for _, n := range d.neighbours {
		functions = append(functions, n.function)
	}
	for _, a := range d.attackers {
		functions = append(functions, a.function)
	}
	tenants := map[string]bool{}
	for _, f := range functions {
		tenants[f.tenant] = true
	}
	if err := d.makeKeys(ctx, slices.Sorted(maps.Keys(tenants))); err != nil {
		return err
	}
	for _, f := range functions {
		if err := f.create(ctx); err != nil {
			return err
		}
	}
	if d.cluster != nil {
		pause(ctx, time.Second) // calls do not say what they build on
	}
	for _, n := range d.neighbours {
		n.call(ctx, d.ledger)
	}
	for _, a := range d.attackers {
		a.attack(ctx, d.ledger)
	}
	d.queue.enqueue(ctx, d.queue.prints)
	d.queue.enqueue(ctx, d.queue.fails)
	return nil
}

// soak loads the program for the requested time, with faults.
func (d *driver) soak(ctx context.Context) error {
	if d.cluster == nil {
		d.watch.atStart()
	}
	if err := d.deployAll(ctx); err != nil {
		return err
	}
	d.queue.drain(ctx, time.Minute)
	if d.cluster == nil {
		d.watch.beforeLoad(ctx)
	}

	loading, stopLoad := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stopLoad()
	for range d.options.neighbours {
		loops.Go(func() { d.keepCalling(loading) })
	}
	for n := range d.options.attackers {
		loops.Go(func() { d.keepAttacking(loading, n%2 == 0) })
	}
	loops.Go(func() { d.keepQueuing(loading) })
	loops.Go(func() { d.keepChanging(loading) })
	hurt := d.hurt
	if d.cluster != nil {
		hurt = d.cluster.hurt
		loops.Go(func() { d.cluster.keepRevoking(loading) })
	} else {
		loops.Go(func() { d.watch.keep(loading) })
	}
	if err := hurt(ctx); err != nil {
		return err
	}
	stopLoad()
	loops.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.finish(ctx)
}

// keepChanging replaces versions and moves tags during the calls, until ctx
// ends.
func (d *driver) keepChanging(ctx context.Context) {
	pace := min(d.duration/20, 2*time.Second) // each boots an interpreter
	for n := 0; ctx.Err() == nil; n++ {
		d.gate.RLock()
		started := time.Now()
		switch f := d.neighbours[mathrand.IntN(len(d.neighbours))].function; n % 4 {
		case 0:
			d.noteChange(ctx, "a new version, tagged", started, f.deploy(ctx, "stable"))
		case 1:
			d.noteChange(ctx, "a new attack", started, d.strikes.next(ctx))
		case 2:
			d.noteChange(ctx, "a tag moved", started, f.retag(ctx, "moved"))
		case 3:
			a := d.attackers[mathrand.IntN(len(d.attackers))]
			d.noteChange(ctx, "a new version of an attacker", started, a.deploy(ctx))
		}
		d.gate.RUnlock()
		pause(ctx, pace)
	}
}

// striker is a hostile function that makes one attack of the suites after the
// other.
type striker struct {
	*function
	strikes []strike

	mu      sync.Mutex // guards current
	current *strike
}

func (d *driver) newStriker(strikes []strike) *striker {
	mathrand.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	s := &striker{function: d.newFunction("wanda", "hostile", "spin"), strikes: strikes}
	s.name, s.broken = "wanda-strikes", true // some attack while they load
	s.set(&strikes[0])
	return s
}

func (s *striker) set(k *strike) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.code, s.entry = k, k.code, "main.handler"
	s.timeout, s.memoryMB = 700*time.Millisecond, 128
}

// next deploys the next attack. Attacks that ask for more memory than others
// don't get it.
func (s *striker) next(ctx context.Context) error {
	s.strikes = append(s.strikes[1:], s.strikes[0])
	s.set(&s.strikes[0])
	return s.deploy(ctx)
}

// call makes the current attack. Whatever fails must be the function's own
// fault.
func (s *striker) call(ctx context.Context, l *ledger) {
	s.mu.Lock()
	event := s.current.event
	s.mu.Unlock()
	judge(ctx, l, "attacks of the suites", nil, func() (*answer, error) {
		return s.client.call(ctx, http.MethodPost, "/"+s.id+"?integration=raw", asJSON, []byte(event))
	})
}
