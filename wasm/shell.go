package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"vivarium/wasm/vfs"
	"vivarium/wasm/wasip1"
)

// File descriptors and paths of an instance's own files.
const (
	codePath = "function/code"
	tmpPath  = "tmp"
	// storagePath is where instances' disks are.
	storagePath = "function/storage"
	devPath     = "dev"
)

func compilationWorkers() int { return runtime.GOMAXPROCS(0) }

// newShell instantiates the guest with empty memory.
func (e *Engine) newShell(ctx context.Context) (_ *Instance, err error) {
	i := &Instance{engine: e, meter: meter{now: e.now}}
	i.stdout.i, i.stderr.i = i, i
	if err := i.openFiles(); err != nil {
		return nil, fmt.Errorf("wasm: file system: %w", err)
	}
	i.base = context.WithValue(context.Background(), instanceKey{}, i)

	var reserveErr error
	allocator := experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
		i.linear, reserveErr = reserve(uint64(MaxMemory))
		if reserveErr != nil {
			panic(reserveErr) // wazero's interface has no other way to refuse
		}
		return i.linear
	})
	defer func() {
		if reserveErr != nil {
			_ = recover() // the allocator's own panic
			err = reserveErr
		}
	}()
	cfg := wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions().
		WithRandSource(randomSource{i}).
		WithWalltime(i.wallTime, sys.ClockResolution(wallResolution)).
		WithNanotime(i.nanotime, sys.ClockResolution(resolution)).
		WithNanosleep(i.sleep).
		WithOsyield(func() { i.yield() })
	m, err := e.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, allocator), e.guest, cfg)
	if err != nil {
		if i.linear != nil {
			i.linear.Free()
		}
		return nil, fmt.Errorf("wasm: instantiate: %w", err)
	}
	i.module = m
	return i, nil
}

// devices are shared by all instances.
var devices = vfs.Devices()

// openFiles creates the file system and the table of open files.
func (i *Instance) openFiles() (err error) {
	stdio := [3]vfs.File{wasip1.Input(&i.stdin), wasip1.Output(&i.stdout), wasip1.Output(&i.stderr)}
	i.root, err = vfs.NewRoot(vfs.Config{
		Base:   i.engine.cfg.Library,
		Mounts: append([]vfs.Mount{{Path: codePath}, {Path: tmpPath}, {Path: devPath, Tree: devices}}, i.engine.cfg.Mounts...),
		Random: randomSource{i},
		Stdio:  stdio,
		Work:   i.linger,
	})
	if err != nil {
		return err
	}
	i.files = wasip1.New(wasip1.Config{
		Root: i.root, Stdio: stdio, Work: i.did, Settle: i.settle, Sleep: i.sleep, Wait: i.wait, Hold: i.hold,
		Now:     func() int64 { sec, nsec := i.wallTime(); return sec*1e9 + int64(nsec) },
		Reserve: func(delta int64) bool { return i.linear.charge.change(delta) },
	})
	return nil
}

// keepShells starts the goroutine that creates shells ahead of need. Close ends
// it.
func (e *Engine) keepShells() {
	if e.cfg.Shells < 0 {
		return
	}
	e.shells = make(chan *Instance, e.cfg.Shells)
	e.refilled.Add(1)
	go func() {
		defer e.refilled.Done()
		defer func() {
			for {
				select {
				case s := <-e.shells:
					s.Close()
				default:
					return
				}
			}
		}()
		for {
			s, err := e.newShell(e.stopped)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					e.log.Error("create instance ahead of need", "error", err)
				}
				return // acquireShell then creates its own
			}
			select {
			case e.shells <- s:
			case <-e.stopped.Done():
				s.Close()
				return
			}
		}
	}()
}

// acquireShell returns a shell created ahead of need, or creates one.
func (e *Engine) acquireShell(ctx context.Context) (*Instance, error) {
	if e.stopped.Err() != nil {
		return nil, ErrClosed
	}
	select {
	case s := <-e.shells: // never ready if the channel is nil
		return s, nil
	default:
		return e.newShell(ctx)
	}
}
