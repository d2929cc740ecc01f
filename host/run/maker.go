package run

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/logs"
	"vivarium/wasm"
	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// engines has the engine of each runtime.
type engines interface {
	// engine returns that of a runtime. It may block for some seconds.
	//
	// # Errors
	//
	// fault.ErrPreparing, ctx's.
	engine(ctx context.Context, runtime string) (engine, error)
	// first returns a runtime whose engine is there.
	first() string
	// threads returns how many threads guests have, besides the first of each.
	threads() int64
}

// engine makes guests. It is the seam between this package and the WebAssembly
// engine.
type engine interface {
	Boot(ctx context.Context, turn wasm.Turn) (image, error)
	Clone(ctx context.Context, from image, cfg wasm.InstanceConfig) (guest, error)
	OpenImage(path, key string) (image, error)
	ReceiveImage(path, key string, from io.Reader, room func(bytes int64) error) (image, error)
	Key() string
}

// image is a wasm.Image.
type image interface {
	Close() error
	FileSize() int64
	Note() []byte
	Content() *io.SectionReader
}

// guest is a wasm.Instance.
type guest interface {
	Load(ctx context.Context, c wasm.Call) (*wasm.Response, error)
	Invoke(ctx context.Context, c wasm.Call) (*wasm.Response, error)
	Freeze(path, key string, note []byte, room func(bytes int64) error) (image, error)
	Usable() bool
	AwaitsEnd() bool
	Retire()
	MemorySize() int64
	CPUTime() time.Duration
	Held() time.Duration
	Observed() wasm.Observations
	ResetObserved()
	Net() sockets.Net
	HangUp()
	Interrupt()
	DropInterrupt()
	Root() *vfs.Root
	Close()
}

// wasmEngine is the engine outside of tests.
type wasmEngine struct{ *wasm.Engine }

// Boot implements engine.
func (e wasmEngine) Boot(ctx context.Context, turn wasm.Turn) (image, error) {
	return imageOr(e.Engine.Boot(ctx, turn))
}

// Clone implements engine.
func (e wasmEngine) Clone(ctx context.Context, from image, cfg wasm.InstanceConfig) (guest, error) {
	i, err := e.Engine.Clone(ctx, from.(*wasm.Image), cfg)
	if err != nil {
		return nil, err
	}
	return wasmGuest{i}, nil
}

// OpenImage implements engine.
func (e wasmEngine) OpenImage(path, key string) (image, error) {
	return imageOr(e.Engine.OpenImage(path, key))
}

// ReceiveImage implements engine.
func (e wasmEngine) ReceiveImage(path, key string, from io.Reader, room func(bytes int64) error) (image, error) {
	return imageOr(e.Engine.ReceiveImage(path, key, from, room))
}

// wasmGuest is the guest outside of tests.
type wasmGuest struct{ *wasm.Instance }

// Freeze implements guest.
func (g wasmGuest) Freeze(path, key string, note []byte, room func(bytes int64) error) (image, error) {
	return imageOr(g.Instance.Freeze(path, key, note, room))
}

// imageOr returns no image, rather than one of a nil pointer, besides an error.
func imageOr(i *wasm.Image, err error) (image, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}

// maker makes the images and instances of versions. Safe for concurrent use.
type maker struct {
	interpreters *interpreters
	scheduler    *scheduler
	room         *room
	reporter     *reporter

	// As in Config.
	book       *logs.Book
	tokens     *access.Tokens
	archive    func(ctx context.Context, v *catalog.Version) ([]byte, error)
	secrets    func(v *catalog.Version) (map[string]string, error) // never nil
	imageDir   string
	netCeiling *egress.Policy
	ceilings   *egress.Ceilings
	dialer     egress.Dialer
	debugger   func(net.Conn)
	refused    func(functionID, rule string) // may be nil
	traffic    *traffic

	elsewhere atomic.Pointer[imageSource] // see Runner.ShareImages; nil where there are no other nodes
	images    struct{ made, copied atomic.Int64 }

	unpacking chan struct{}   // has a place for each archive that is being unpacked
	running   context.Context // ends when the runner begins to tear down
}

// imagePath returns where a version's image is kept, or nothing when it is not.
func (m *maker) imagePath(versionID string) string {
	if m.imageDir == "" || versionID == "" {
		return ""
	}
	return filepath.Join(m.imageDir, versionID+".image")
}

// recorder returns what takes the log entries of a version.
func (m *maker) recorder(v *live) func(logs.Entry) {
	o := v.LogOwner()
	return func(e logs.Entry) { m.book.Add(o, e) }
}
