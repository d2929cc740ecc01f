package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// versionImage is what a version's instances are made from.
type versionImage struct {
	image
	imageNote
	loading time.Duration // what loading the module for it took; 0 when an earlier run did
}

// imageNote is what is remembered with an image.
type imageNote struct {
	// Loaded says that the user's module is loaded in the image.
	Loaded bool `json:"loaded"`
	// Why says, where it is not, what kept it out.
	Why []string `json:"why,omitempty"`
	// Failed says that it could not be, here and then: elsewhere it may.
	Failed bool `json:"failed,omitempty"`
	// Output is what the module printed while it was loaded: each instance's
	// first call logs it, as if it had loaded the module itself.
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
}

const (
	maxFreezeTime   = 10 * time.Second // for what is done before the freeze while no call waits
	maxFreezeOutput = 8 << 10          // bytes it may print
	maxLoadAnswer   = 256 << 10        // bytes of its answer, which the image keeps in part
)

// imageCell builds a version's image when it is needed, and may let go of it
// while nobody uses it: it can be made again.
type imageCell struct {
	path string // where it is kept between runs of the program; empty when it is not
	// build makes the image, see maker.buildImage.
	build func(trying context.Context) (*versionImage, error)

	mu       sync.Mutex // guards the members; not held while building
	image    *versionImage
	building chan struct{} // closed when the attempt is over; nil when there is none
	err      error         // of the last attempt; besides an image, why the module didn't load
	abandon  func()        // ends the attempt's probe of the module
	began    time.Time     // when the attempt did
	waiting  int           // for the attempt
	users    int           // instances, those being made from it included
	stored   int64         // bytes on the disk that its tenant is charged for
	unnamed  bool          // they go with the image
	closed   bool
}

// get returns the image, which the caller gives back with put, or what comes
// instead. It blocks while the image is being built, at most as long as ctx
// allows. The building goes on without the caller, but the context that build gets
// ends after maxFreezeTime when nobody waits.
//
// # Errors
//
// ctx's, or what build returned to those who waited for it; ErrRetired.
func (c *imageCell) get(ctx context.Context, instead <-chan *instance) (*versionImage, *instance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for waited := false; ; waited = true {
		if c.closed {
			return nil, nil, ErrRetired
		}
		// An old attempt's error is not for who comes later: it may succeed now.
		if waited && c.err != nil {
			return nil, nil, c.err
		}
		if c.image != nil {
			c.users++
			return c.image, nil, nil
		}
		if c.building == nil {
			c.begin()
		}
		in, err := c.wait(ctx, instead)
		if in != nil || err != nil {
			return nil, in, err
		}
	}
}

// begin begins an attempt to build the image. The caller holds mu.
func (c *imageCell) begin() {
	done := make(chan struct{})
	// Not the first caller's context: others wait as well, and may have more time.
	trying, abandon := context.WithCancel(context.Background())
	c.building, c.abandon, c.began = done, abandon, time.Now()
	unwatch := time.AfterFunc(maxFreezeTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting == 0 {
			abandon()
		}
	})
	go func() {
		image, err := c.build(trying)
		unwatch.Stop()
		abandon()
		c.mu.Lock()
		c.image, c.err, c.building = image, err, nil
		c.mu.Unlock()
		close(done)
	}()
}

// wait waits for the attempt, for what comes instead of it, or for the end of ctx.
// The caller holds mu, which is not held meanwhile.
func (c *imageCell) wait(ctx context.Context, instead <-chan *instance) (in *instance, err error) {
	done := c.building
	c.waiting++
	c.mu.Unlock()
	select {
	case <-done:
	case in = <-instead:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	c.waiting--
	if err != nil && c.building == done && c.waiting == 0 && time.Since(c.began) >= maxFreezeTime {
		c.abandon()
	}
	return in, err
}

// use says that there is another instance, which put says is no more.
func (c *imageCell) use() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users++
}

// put says that an instance is no more.
func (c *imageCell) put() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
}

// borrow returns the image if there is one, which the caller gives back with put; else nil.
func (c *imageCell) borrow() *versionImage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.image != nil {
		c.users++
	}
	return c.image
}

// close ends an attempt that is under way and lets go of the image, for good. It
// returns how many bytes of the disk that has freed.
func (c *imageCell) close() (freed int64) {
	c.mu.Lock()
	c.closed = true
	building := c.building
	if building != nil {
		c.abandon()
	}
	c.mu.Unlock()
	if building != nil {
		<-building // without mu, which its end needs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.image != nil {
		_ = c.image.Close() // a file that was only read
		c.image = nil
	}
	if c.unnamed {
		freed, c.stored = c.stored, 0
	}
	return freed
}

// store notes what the image takes on the disk, and returns what it took before.
func (c *imageCell) store(bytes int64, unnamed bool) (before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.stored, c.unnamed = c.stored, bytes, unnamed
	return before
}

// remove deletes the file that earlier runs of the program may have left.
func (c *imageCell) remove() {
	if c.path != "" {
		_ = os.Remove(c.path) // most often there is none
	}
}

// drop lets go of an image that nobody uses, with its file. It returns how many
// bytes of the disk that has freed.
func (c *imageCell) drop() (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users > 0 || c.building != nil {
		return 0
	}
	if c.image != nil {
		_ = c.image.Close() // a file that was only read
		c.image = nil
	}
	c.remove()
	freed, c.stored = c.stored, 0
	return freed
}

// buildImage makes the image of a version: from its file when an earlier run
// has left a good one, or another node's if one has it, else from a fresh interpreter. For
// that the module is loaded, at most until trying ends. When that fails the image is there besides
// the *loadError.
func (m *maker) buildImage(trying context.Context, v *live) (*versionImage, error) {
	ctx, cancel := context.WithCancel(m.running)
	defer cancel()
	defer v.pool.noteUnused()
	python, err := m.interpreters.get(trying, v.Runtime)
	if err != nil {
		return nil, err
	}
	path := v.pool.image.path
	if path != "" {
		image, err := m.openImage(python.engine, path, v)
		// Without room for the old one there is none for a new one, which is as large.
		if err == nil || fault.Of(err).NoRoom() {
			return image, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			m.reporter.log.Warn("image rebuilt", "function", v.FunctionID, "version", v.ID, "error", err)
		}
	}
	copied, err := m.fetchImage(trying, python.engine, path, v)
	if err == nil || fault.Of(err).NoRoom() {
		return copied, err
	}
	m.reporter.tellFetch(v, err)
	base, err := python.bases.acquire(ctx, v.Tenant)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.ID, err)
	}
	defer base.Close()
	image, loadErr, err := m.freezeLoaded(ctx, trying, base, path, v)
	if err != nil && loadErr != nil { // known all the same, and what callers can do something about
		return nil, loadErr
	}
	if fault.Of(err).NoRoom() {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.ID, err)
	}
	if !image.Loaded && !v.NoFreeze {
		logs.NewCall(v.LogSource(""), m.recorder(v)).System(logs.LevelInfo, fmt.Sprintf(
			"Version: %s Each instance imports the module itself: %s", v.ID, strings.Join(image.Why, ", ")))
	}
	if loadErr != nil {
		return image, loadErr
	}
	return image, nil
}

// freezes reports whether the module may be loaded for the image: not where that would
// put secrets into a file.
func (v *live) freezes() bool { return !v.NoFreeze && len(v.Secrets) == 0 }

// preparePatience is how long a deploy waits for the version's code to load.
const preparePatience = time.Minute

// Prepare loads the code of a version that nobody can call yet, so that its first
// callers, of whom there may be many, find its image made. It returns why the code
// does not load. It blocks for as long as that takes, at most a minute: what takes
// longer, and what is not the function's fault, such as a want of memory, is left for
// calls to meet and to report.
func (r *Runner) Prepare(ctx context.Context, versionID string) *fault.FunctionError {
	v := r.version(versionID)
	if v == nil {
		return nil
	}
	defer v.pool.noteUnused()
	v.loading.unhurried.Store(true)
	defer v.loading.unhurried.Store(false)
	ctx, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	err := fault.ErrPreparing
	for fault.Of(err) == fault.Preparing && ctx.Err() == nil { // again if its runtime was never needed before
		_, _, err = v.pool.image.get(ctx, nil)
	}
	if err == nil {
		v.pool.image.put()
		if !v.freezes() { // the module is not loaded for the image
			err = v.ready(ctx)
		}
	}
	if loadErr, ok := errors.AsType[*loadError](err); ok && !loadErr.starved {
		return loadErr.FunctionError
	}
	return nil
}

// openImage opens the image that an earlier run has left, and charges for it.
func (m *maker) openImage(e engine, path string, v *live) (*versionImage, error) {
	image, err := openLeft(e, path, v)
	if err != nil {
		return nil, err
	}
	if err := m.storeImage(v, image.FileSize(), false); err != nil {
		_ = image.Close()
		return nil, err
	}
	return image, nil
}

// openLeft opens the image that an earlier run has left at a path, without charging for it.
func openLeft(e engine, path string, v *live) (*versionImage, error) {
	image, err := e.OpenImage(path, v.ID)
	if err != nil {
		return nil, err
	}
	note, err := noteOf(image)
	if err != nil {
		_ = image.Close()
		return nil, err
	}
	return &versionImage{image: image, imageNote: note}, nil
}

// freezeLoaded loads the user's module into a clone of base and freezes that,
// when loading it once does for all instances. Otherwise the image has an
// interpreter that is about to load it, and says why; the clone that has loaded it
// becomes the pool's first instance. The fault says why it didn't load.
func (m *maker) freezeLoaded(
	ctx, trying context.Context, base image, path string, v *live,
) (image *versionImage, loadErr *loadError, err error) {
	t := probe{note: imageNote{Why: []string{"turned off for this version"}}, sources: []string{}}
	if len(v.Secrets) > 0 {
		t.note.Why = []string{"it has secrets, which are kept out of files"}
	}
	if v.freezes() {
		w, err := m.clone(ctx, base, v)
		if err != nil {
			return nil, nil, err
		}
		t = m.tryLoad(trying, w, v)
		switch {
		case t.note.Loaded:
			defer w.Close()
			if image, err = m.freeze(w, path, v, t.note); err == nil {
				image.loading = t.took
			}
			return image, nil, err
		case t.instance != nil:
			v.pool.keep(t.instance)
		default:
			w.Close()
		}
	}
	image, err = m.freezeBare(ctx, base, path, v, t.note, t.sources)
	return image, t.loadErr, err
}

// freezeBare makes an image of an interpreter that is about to load the module,
// and has compiled its files.
func (m *maker) freezeBare(
	ctx context.Context, base image, path string, v *live, note imageNote, sources []string,
) (*versionImage, error) {
	bare, err := m.clone(ctx, base, v)
	if err != nil {
		return nil, err
	}
	defer bare.Close()
	request := v.loadRequest(nil) // an image is a file
	request.Prepare = &sources
	answer, err := bare.Load(ctx, wasm.Call{
		Stdin: request.encode(), Deadline: time.Now().Add(maxFreezeTime), Turn: m.scheduler.turn(v.Tenant, v.FunctionID),
	})
	if err == nil && answer.Kind == responseJSON {
		return m.freeze(bare, path, v, note)
	}
	// The files have more to compile than fits: each instance does it all.
	note.Why = append(note.Why, "compiling its files ahead did not work")
	plain, err := m.clone(ctx, base, v)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	return m.freeze(plain, path, v, note)
}

// freeze makes an image of a guest, at a path if that is possible: a full or broken
// disk must not keep a version from starting.
func (m *maker) freeze(i guest, path string, v *live, note imageNote) (*versionImage, error) {
	text, err := json.Marshal(note)
	if err != nil {
		return nil, err
	}
	image, err := i.Freeze(path, v.ID, text, func(bytes int64) error { return m.storeImage(v, bytes, path == "") })
	if err != nil && path != "" && !fault.Of(err).NoRoom() {
		// Functions don't need the disk: the next start makes the image again.
		m.reporter.log.Warn("image not kept", "function", v.FunctionID, "version", v.ID, "error", err)
		image, err = i.Freeze("", v.ID, text, func(bytes int64) error { return m.storeImage(v, bytes, true) })
	}
	if err != nil {
		m.unstoreImage(v)
		return nil, err
	}
	m.images.made.Add(1)
	return &versionImage{image: image, imageNote: note}, nil
}

// clone makes an instance of v that is in no pool.
func (m *maker) clone(ctx context.Context, from image, v *live) (guest, error) {
	code, err := m.code(ctx, v)
	if err != nil {
		return nil, err
	}
	python, err := m.interpreters.get(ctx, v.Runtime)
	if err != nil {
		return nil, err
	}
	var refused error
	reserve := v.counted(func(delta int64) bool {
		refused = m.room.ownMemory(v.Tenant, delta)
		return refused == nil
	})
	i, err := python.engine.Clone(ctx, from, wasm.InstanceConfig{
		MemoryLimit: int64(v.MemoryMB) << 20, Code: code, Reserve: reserve, Net: m.network(v),
		Tmp:   vfs.NewMem(vfs.MemConfig{MaxBytes: cmp.Or(v.TmpBytes, catalog.DefaultTmpBytes), MaxEntries: tmpEntries, Reserve: reserve}),
		Disks: disksOf(v, reserve),
	})
	if errors.Is(err, wasm.ErrMemory) { // the ledger knows whose limit it was
		err = refused
	}
	return i, err
}

// disksOf returns the disks of an instance of v.
func disksOf(v *live, reserve func(delta int64) bool) map[string]*vfs.Mem {
	disks := map[string]*vfs.Mem{}
	for _, d := range v.Disks {
		disks[d.Name] = vfs.NewMem(vfs.MemConfig{MaxBytes: d.Bytes, MaxEntries: tmpEntries, Reserve: reserve})
	}
	return disks
}

// counted makes what reserves memory for an instance of v count it.
func (v *live) counted(reserve func(delta int64) bool) func(delta int64) bool {
	return func(delta int64) bool {
		ok := reserve(delta)
		if ok {
			v.pool.memory.Add(delta)
		} else {
			v.loading.refused.Add(1)
		}
		return ok
	}
}

// tmpEntries is how many names an instance's /tmp, and each of its disks, may have.
const tmpEntries = 10_000
