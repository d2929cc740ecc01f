package wasm

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
	"vivarium/wasm/wasip1"
)

// world is what an instance may ask for: files, the network, standard streams; and
// what it has asked for that sets it apart from others of its image. Clocks and
// randomness have no state but that.
type world struct {
	root  *vfs.Root
	files *wasip1.Files
	net   sockets.Net

	stdin          switchReader
	stdout, stderr switchWriter

	seen        Observations
	askedBefore int64 // network requests made before the last ResetObserved
}

// Observations records what a guest has seen or done that two instances must
// not have in common.
type Observations struct {
	Random    int64 // bytes of randomness drawn
	WallClock int64 // readings of the wall clock
	Monotonic int64 // readings of the monotonic clock
	CPUTime   int64 // readings of the CPU time clock
	Slept     int64 // sleeps
	Network   int64 // names looked up and connections made, not counting what is always refused
	Written   bool  // something was written to a file
	OpenFiles int   // files and sockets open now
	Threads   int   // threads there are now besides the first
}

// furnish gives the instance its code, its /tmp, its disks and its network.
func (w *world) furnish(cfg InstanceConfig) error {
	if cfg.Code != nil {
		if err := w.root.SetTree(codePath, cfg.Code); err != nil {
			return fmt.Errorf("wasm: file system: %w", err)
		}
	}
	w.net = cfg.Net
	w.files.SetNet(w.net)
	if cfg.Tmp != nil {
		if err := w.root.SetMem(tmpPath, cfg.Tmp); err != nil {
			return fmt.Errorf("wasm: file system: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Disks)) {
		if err := w.root.AddMem(storagePath+"/"+name, cfg.Disks[name]); err != nil {
			return fmt.Errorf("wasm: file system: %w", err)
		}
	}
	return nil
}

// connect gives a call its output streams.
func (w *world) connect(stdout, stderr io.Writer) {
	w.stdout.set(stdout)
	w.stderr.set(stderr)
}

// disconnect takes a call's standard streams away.
func (w *world) disconnect() {
	w.stdin.set(nil)
	w.connect(nil, nil)
}

// Observed returns the observations since the last ResetObserved.
func (i *Instance) Observed() Observations {
	o := i.seen
	open, asked := i.files.Sockets()
	o.Written, o.OpenFiles, o.Network = i.root.Written(), i.root.OpenFiles()+open, asked-i.askedBefore
	o.Threads = i.otherThreads()
	return o
}

// ResetObserved clears the observations.
func (i *Instance) ResetObserved() {
	i.seen = Observations{}
	_, i.askedBefore = i.files.Sockets()
}

// HangUp closes the instance's connections as if the peers had: a guest that
// keeps connections for later finds them closed and opens new ones.
func (i *Instance) HangUp() { i.files.HangUp() }

// Net returns the network that the instance was given.
func (i *Instance) Net() sockets.Net { return i.net }

// Root returns the files that the instance sees, for use between calls.
func (i *Instance) Root() *vfs.Root { return i.root }

// close closes all files and connections.
func (w *world) close() {
	w.files.Close()
	w.root.Close()
}
