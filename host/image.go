package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// versionImage is what a version's instances are made from.
type versionImage struct {
	*wasm.Image
	imageNote
}

// imageNote is what is remembered with an image.
type imageNote struct {
	// Loaded says that the user's module is loaded in the image.
	Loaded bool `json:"loaded"`
	// Why says, where it is not, what kept it out.
	Why []string `json:"why,omitempty"`
	// Output is what the module printed while it was loaded: each instance's
	// first call logs it, as if it had loaded the module itself.
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
}

const (
	maxFreezeTime   = 10 * time.Second // for loading a module before the freeze
	maxFreezeOutput = 8 << 10          // bytes it may print
	maxLoadAnswer   = 256 << 10        // bytes of its answer, which the image keeps in part
)

// imageCell builds a version's image when it is needed, and may let go of it
// while nobody uses it: it can be made anew.
type imageCell struct {
	mu       sync.Mutex // guards the members; not held while building
	image    *versionImage
	building chan struct{} // closed when the attempt is over; nil when there is none
	err      error         // of the last attempt
	users    int           // instances that are made from it, or are being made
	used     time.Time     // when it was last asked for
	stored   int64         // bytes on the disk that its tenant is charged for
	unnamed  bool          // they go with the image
}

// get returns the image, which the caller gives back with put. It blocks while
// it is being built, at most as long as ctx allows; the building goes on without
// the caller.
func (c *imageCell) get(ctx context.Context, build func() (*versionImage, error)) (*versionImage, error) {
	c.mu.Lock()
	for waited := false; ; waited = true {
		if c.image != nil {
			c.users++
			c.used = time.Now()
			defer c.mu.Unlock()
			return c.image, nil
		}
		if waited && c.err != nil {
			defer c.mu.Unlock()
			return nil, c.err
		}
		done := c.building
		if done == nil {
			done = make(chan struct{})
			c.building = done
			go func() {
				image, err := build()
				c.mu.Lock()
				c.image, c.err, c.building = image, err, nil
				c.mu.Unlock()
				close(done)
			}()
		}
		c.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c.mu.Lock()
	}
}

// put says that an instance that was made from the image is no more.
func (c *imageCell) put() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
}

// close waits for an attempt that is under way and lets go of the image. It
// returns how many bytes of the disk that has freed.
func (c *imageCell) close() (freed int64) {
	c.mu.Lock()
	building := c.building
	c.mu.Unlock()
	if building != nil {
		<-building
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

// spare returns since when nobody has used what it has on the disk.
func (c *imageCell) spare() (used time.Time, ok bool) {
	if !c.mu.TryLock() {
		return time.Time{}, false
	}
	defer c.mu.Unlock()
	return c.used, c.stored > 0 && c.users == 0 && c.building == nil
}

// drop lets go of an image that nobody uses, and removes its file with remove.
// It returns how many bytes of the disk that has freed.
func (c *imageCell) drop(remove func()) (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users > 0 || c.building != nil {
		return 0
	}
	if c.image != nil {
		_ = c.image.Close() // a file that was only read
		c.image = nil
	}
	remove()
	freed, c.stored = c.stored, 0
	return freed
}

// buildImage makes the image of a version: from its file when an earlier run
// has left a good one, else from a fresh interpreter.
func (h *Host) buildImage(v *Version) (*versionImage, error) {
	ctx, cancel := context.WithCancel(h.running)
	defer cancel()
	path := h.imagePath(v)
	if path != "" {
		image, err := h.openImage(path, v)
		if err == nil || noRoom(err) {
			return image, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			h.log.Warn("image rebuilt", "function", v.FunctionID, "version", v.ID, "err", err)
		}
	}
	base, err := h.bases.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.ID, err)
	}
	defer base.Close()
	image, err := h.freezeLoaded(ctx, base, path, v)
	if noRoom(err) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.ID, err)
	}
	if !image.Loaded && !v.NoFreeze {
		newCallLog(v, "", h.recorder(v)).system(LevelInfo, fmt.Sprintf(
			"Version: %s Each instance imports the module itself: %s", v.ID, strings.Join(image.Why, ", ")))
	}
	return image, nil
}

// preparePatience is how long a deploy waits for the version's image.
const preparePatience = 2 * time.Second

// prepareImage makes the image of a version that nobody can call yet, so that
// its first callers, of whom there may be many, find it made. What goes wrong,
// or takes too long, is left for calls to meet and to report.
func (h *Host) prepareImage(ctx context.Context, v *Version) {
	ctx, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	if _, err := v.pool.image.get(ctx, func() (*versionImage, error) { return h.buildImage(v) }); err == nil {
		v.pool.image.put()
	}
}

// openImage opens the image that an earlier run has left.
func (h *Host) openImage(path string, v *Version) (*versionImage, error) {
	image, err := h.cfg.Engine.OpenImage(path, v.ID)
	if err != nil {
		return nil, err
	}
	if err := h.storeImage(v, image.FileSize(), false); err != nil {
		_ = image.Close()
		return nil, err
	}
	var note imageNote
	if err := json.Unmarshal(image.Note(), &note); err != nil {
		_ = image.Close()
		return nil, fmt.Errorf("%w: note: %v", wasm.ErrImage, err)
	}
	return &versionImage{image, note}, nil
}

// freezeLoaded loads the user's module into a clone of base and freezes that,
// when loading it once does for all instances. Otherwise the image has an
// interpreter that is about to load it, and says why.
func (h *Host) freezeLoaded(ctx context.Context, base *wasm.Image, path string, v *Version) (*versionImage, error) {
	note := imageNote{Why: []string{"turned off for this version"}}
	sources := []string{}
	if !v.NoFreeze {
		trial, err := h.clone(ctx, base, v)
		if err != nil {
			return nil, err
		}
		defer trial.Close()
		if note, sources = h.tryLoad(ctx, trial, v); note.Loaded {
			return h.freeze(trial, path, v, note)
		}
	}
	bare, err := h.clone(ctx, base, v)
	if err != nil {
		return nil, err
	}
	defer bare.Close()
	request := v.loadRequest()
	request.Prepare = &sources
	r, err := bare.Load(ctx, wasm.Call{
		Stdin: request.encode(), Deadline: time.Now().Add(maxFreezeTime), Turn: h.scheduler.turn(v.Tenant, v.FunctionID),
	})
	if err == nil && r.Kind == responseJSON {
		return h.freeze(bare, path, v, note)
	}
	// The files have more to compile than fits: each instance does it all.
	note.Why = append(note.Why, "compiling its files ahead did not work")
	plain, err := h.clone(ctx, base, v)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	return h.freeze(plain, path, v, note)
}

func (h *Host) freeze(i *wasm.Instance, path string, v *Version, note imageNote) (*versionImage, error) {
	text, err := json.Marshal(note)
	if err != nil {
		return nil, err
	}
	image, err := i.Freeze(path, v.ID, text, func(bytes int64) error { return h.storeImage(v, bytes, path == "") })
	if err != nil && path != "" && !noRoom(err) {
		// Functions don't need the disk: the next start makes the image anew.
		h.log.Warn("image not kept", "function", v.FunctionID, "version", v.ID, "err", err)
		image, err = i.Freeze("", v.ID, text, func(bytes int64) error { return h.storeImage(v, bytes, true) })
	}
	if err != nil {
		h.unstoreImage(v)
		return nil, err
	}
	return &versionImage{image, note}, nil
}

// tryLoad loads the user's module and says in the note if its state may be
// shared, and which files it has. A module that can't be loaded is no error
// here: each call will meet it again and report it.
func (h *Host) tryLoad(ctx context.Context, trial *wasm.Instance, v *Version) (note imageNote, sources []string) {
	var out, errs bytes.Buffer
	request := v.loadRequest()
	request.Freeze = true
	trial.ResetObserved()
	r, err := trial.Load(ctx, wasm.Call{
		Stdin: request.encode(), Stdout: &limitedBuffer{b: &out}, Stderr: &limitedBuffer{b: &errs},
		Deadline: time.Now().Add(min(v.Timeout, maxFreezeTime)),
		Turn:     h.scheduler.turn(v.Tenant, v.FunctionID),
	})
	var answer loadResponse
	switch {
	case err != nil:
		return imageNote{Why: []string{"loading: " + err.Error()}}, []string{}
	case r.Kind != responseJSON:
		return imageNote{Why: []string{"the module can't be loaded"}}, []string{}
	case r.Spent:
		return imageNote{Why: []string{"the module ended the interpreter"}}, []string{}
	case len(r.Body) > maxLoadAnswer: // the function has had a hand in it
		return imageNote{Why: []string{"the answer to loading is too long"}}, []string{}
	}
	if err := json.Unmarshal(r.Body, &answer); err != nil {
		return imageNote{Why: []string{"loading: " + err.Error()}}, []string{}
	}
	note = imageNote{Stdout: out.Bytes(), Stderr: errs.Bytes()}
	note.Why = append(answer.Impure, impurities(trial.Observed())...)
	if out.Len() >= maxFreezeOutput || errs.Len() >= maxFreezeOutput {
		note.Why = append(note.Why, "importing it printed much")
	}
	if note.Loaded = len(note.Why) == 0; !note.Loaded {
		note.Stdout, note.Stderr = nil, nil // each instance will print it itself
	}
	return note, answer.Sources
}

// impurities names what a guest did while it loaded that two instances must not
// have in common.
func impurities(o wasm.Observations) []string {
	var why []string
	for _, c := range []struct {
		seen bool
		name string
	}{
		{o.Random > 0, "importing it drew randomness"},
		{o.WallClock > 0, "importing it read the wall clock"},
		{o.Monotonic > 0, "importing it read the monotonic clock"},
		{o.CPUTime > 0, "importing it read its CPU time"},
		{o.Slept > 0, "importing it slept"},
		{o.Written, "importing it wrote a file"},
		{o.OpenFiles > 0, "importing it left a file open"},
	} {
		if c.seen {
			why = append(why, c.name)
		}
	}
	return why
}

// limitedBuffer keeps the first maxFreezeOutput bytes.
type limitedBuffer struct{ b *bytes.Buffer }

// Write implements io.Writer.
func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), maxFreezeOutput-l.b.Len())])
	return len(p), nil
}

// clone makes an instance of v that is in no pool.
func (h *Host) clone(ctx context.Context, image *wasm.Image, v *Version) (*wasm.Instance, error) {
	code, err := h.code(ctx, v)
	if err != nil {
		return nil, err
	}
	var refused error
	reserve := v.pool.counted(func(delta int64) bool {
		refused = h.ownMemory(v.Tenant, delta)
		return refused == nil
	})
	i, err := h.cfg.Engine.Clone(ctx, image, wasm.InstanceConfig{
		MemoryLimit: int64(v.MemoryMB) << 20, Code: code, Reserve: reserve,
		Tmp: vfs.NewMem(vfs.MemConfig{MaxBytes: tmpBytes, MaxEntries: tmpEntries, Reserve: reserve}),
	})
	if errors.Is(err, wasm.ErrMemory) {
		err = refused
	}
	return i, err
}

// Limits of an instance's /tmp (contract §6.8).
const (
	tmpBytes   = 512 << 20
	tmpEntries = 10_000
)
