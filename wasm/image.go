package wasm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Image is a frozen linear memory together with the guest's mutable globals:
// the guest's whole state while none of its functions run. Instances are made
// from it by copy-on-write mapping. Safe for concurrent use.
//
// An image lives in a file, which either its creator keeps or the system
// removes with its last user.
type Image struct {
	f       *os.File
	size    int64 // bytes of memory
	runs    []run // the parts of the memory stored in the file; the rest is zero
	length  int64 // bytes of all runs
	globals []uint64
	note    []byte

	sharing sync.Mutex // guards shared and charged; nothing blocks under it
	shared  int64      // bytes that instances may have mapped, counted once per instance
	charged int64      // bytes charged to the owner, for all instances together

	hot     atomic.Pointer[[]span] // pages that a first call writes to
	hotOnce atomic.Bool            // set by whoever determines hot

	closing  sync.Once
	closeErr error
}

// run is a part of a memory, in bytes.
type run struct{ Start, Length int64 }

// The file is a header of headerSize bytes (magic, length and checksum of the
// JSON, the JSON), followed by the memory without its long runs of zeros: the
// stack, unused heap, and large empty objects.
const (
	imageMagic  = "VIVIMG\x00\x02"
	headerSize  = 64 << 10 // a multiple of every page size in use
	headerFixed = len(imageMagic) + 8
)

type imageHeader struct {
	Key     string   // who the image is for: guest and owner
	Size    int64    // bytes of memory
	Runs    []run    // the parts of it that follow, in this order
	CRC     uint32   // Castagnoli, of the content
	Globals []uint64 // in the order of the engine's global names
	Note    []byte   // for the owner
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrImage means that an image file is damaged, incomplete, or belongs to
// another guest or owner. Build a new one.
var ErrImage = errors.New("wasm: unusable image file")

// Size returns the bytes of linear memory that an instance starts with.
func (m *Image) Size() int64 { return m.size }

// FileSize returns the size of the image's file, in bytes.
func (m *Image) FileSize() int64 { return headerSize + m.length }

// Note returns what the owner stored with the image.
func (m *Image) Note() []byte { return m.note }

// Close releases the image's file. Existing instances are not affected; no new
// ones can be made.
func (m *Image) Close() error {
	m.closing.Do(func() { m.closeErr = m.f.Close() })
	return m.closeErr
}

// writeImage stores memory as an image. With an empty path the file has no
// name; otherwise it appears at path complete or not at all. For room, see
// Freeze.
func writeImage(
	dir, path, key string, memory []byte, globals []uint64, note []byte, room func(bytes int64) error,
) (*Image, error) {
	m := &Image{size: int64(len(memory)), runs: content(memory), globals: globals, note: note}
	sum := crc32.New(castagnoli)
	for _, r := range m.runs {
		m.length += r.Length
		_, _ = sum.Write(memory[r.Start:][:r.Length]) // it never fails
	}
	if room != nil {
		if err := room(m.FileSize()); err != nil {
			return nil, err
		}
	}
	header, err := json.Marshal(imageHeader{
		Key: key, Size: m.size, Runs: m.runs, CRC: sum.Sum32(), Globals: globals, Note: note,
	})
	if err != nil {
		return nil, fmt.Errorf("wasm: image header: %w", err)
	}
	if headerFixed+len(header) > headerSize {
		return nil, fmt.Errorf("wasm: image header of %d bytes is too large", len(header))
	}
	fixed := append([]byte(imageMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(fixed[len(imageMagic):], uint32(len(header)))
	binary.LittleEndian.PutUint32(fixed[len(imageMagic)+4:], crc32.Checksum(header, castagnoli))
	m.f, err = createImage(dir, path, func(f *os.File) error {
		if _, err := f.WriteAt(append(fixed, header...), 0); err != nil {
			return fmt.Errorf("wasm: write image: %w", err)
		}
		at := int64(headerSize)
		for _, r := range m.runs {
			if _, err := f.WriteAt(memory[r.Start:][:r.Length], at); err != nil {
				return fmt.Errorf("wasm: write image: %w", err)
			}
			at += r.Length
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// createImage creates an image's file, which write fills. With an empty path it is in dir
// and has no name; otherwise it appears at path complete or not at all.
func createImage(dir, path string, write func(*os.File) error) (_ *os.File, err error) {
	if path != "" {
		dir = filepath.Dir(path)
	}
	f, err := os.CreateTemp(dir, unfinishedImages)
	if err != nil {
		return nil, fmt.Errorf("wasm: image: %w", err)
	}
	lockFile(f)
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if path == "" { // unlinked at once, so that a killed process leaves nothing behind
		if err = os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("wasm: image: %w", err)
		}
	}
	if err = write(f); err != nil {
		return nil, err
	}
	if path != "" {
		if err = os.Rename(f.Name(), path); err != nil {
			return nil, fmt.Errorf("wasm: image: %w", err)
		}
	}
	return f, nil
}

// unfinishedImages is the pattern of files that are still being written.
const unfinishedImages = "image-*.tmp"

// CleanImages removes the unfinished images of processes that have ended from
// dir. Images that others are writing stay.
func CleanImages(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, unfinishedImages))
	if err != nil {
		return fmt.Errorf("wasm: images: %w", err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue // it is finished
		}
		abandoned := lockFile(f)
		_ = f.Close()
		if abandoned {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("wasm: images: %w", err)
			}
		}
	}
	return nil
}

const (
	// imageBlock is the granularity of runs. No page is larger.
	imageBlock = 64 << 10
	// maxRuns bounds the runs of an image, because each is a mapping in each
	// instance.
	maxRuns = 16
	// leastGap is the shortest run of zeros worth a mapping of its own, in
	// bytes.
	leastGap = 1 << 20
)

// content returns the nonzero parts of a memory, in whole blocks, merged across
// short gaps.
func content(memory []byte) []run {
	var zeros [imageBlock]byte
	var all []run
	for at := int64(0); at < int64(len(memory)); at += imageBlock {
		if bytes.Equal(memory[at:at+imageBlock], zeros[:]) {
			continue
		}
		if n := len(all); n > 0 && all[n-1].Start+all[n-1].Length == at {
			all[n-1].Length += imageBlock
		} else {
			all = append(all, run{at, imageBlock})
		}
	}
	for gap := int64(leastGap); ; gap *= 2 {
		joined := all[:0]
		for _, r := range all {
			if n := len(joined); n > 0 && r.Start-joined[n-1].Start-joined[n-1].Length < gap {
				joined[n-1].Length = r.Start + r.Length - joined[n-1].Start
			} else {
				joined = append(joined, r)
			}
		}
		if all = joined; len(all) <= maxRuns {
			return all
		}
	}
}

// openImage opens and verifies the image at path. It returns ErrImage if the
// file itself is at fault.
func openImage(path, key string, globals int) (_ *Image, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("wasm: open image: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	m, crc, err := readHeader(f, key, globals)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("wasm: image: %w", err)
	}
	if info.Size() != m.FileSize() {
		return nil, fmt.Errorf("%w: %s: has %d bytes, expected %d", ErrImage, path, info.Size(), m.FileSize())
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, headerSize, m.length)); err != nil {
		return nil, fmt.Errorf("wasm: read image: %w", err)
	}
	if sum.Sum32() != crc {
		return nil, fmt.Errorf("%w: %s: memory checksum", ErrImage, path)
	}
	m.f = f
	return m, nil
}

// readHeader reads an image's header, which may be anybody's, and returns what it says and the
// checksum of what follows. ErrImage means that it is no header of an image under key.
func readHeader(r io.Reader, key string, globals int) (m *Image, crc uint32, err error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, fmt.Errorf("%w: header: %w", ErrImage, err)
	}
	n := binary.LittleEndian.Uint32(head[len(imageMagic):])
	if !bytes.HasPrefix(head, []byte(imageMagic)) || int64(n) > int64(headerSize-headerFixed) {
		return nil, 0, fmt.Errorf("%w: no image header", ErrImage)
	}
	text := head[headerFixed : headerFixed+int(n)]
	if crc32.Checksum(text, castagnoli) != binary.LittleEndian.Uint32(head[len(imageMagic)+4:]) {
		return nil, 0, fmt.Errorf("%w: header checksum", ErrImage)
	}
	var h imageHeader
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, 0, fmt.Errorf("%w: header: %v", ErrImage, err)
	}
	if h.Key != key || len(h.Globals) != globals {
		return nil, 0, fmt.Errorf("%w: belongs to another guest or owner", ErrImage)
	}
	if !h.plausible() {
		return nil, 0, fmt.Errorf("%w: parts that no memory has", ErrImage)
	}
	m = &Image{size: h.Size, runs: h.Runs, globals: h.Globals, note: h.Note}
	for _, r := range h.Runs {
		m.length += r.Length
	}
	return m, h.CRC, nil
}

// plausible reports whether the parts lie within the memory, one after the other. They say
// what is mapped where: beyond the memory is the host's own.
func (h *imageHeader) plausible() bool {
	if h.Size <= 0 || h.Size > MaxMemory || h.Size%pageSize != 0 || len(h.Runs) > maxRuns {
		return false
	}
	end := int64(0)
	for _, r := range h.Runs {
		if r.Start%imageBlock != 0 || r.Length%imageBlock != 0 || r.Length <= 0 || r.Length > h.Size ||
			r.Start < end || r.Start > h.Size-r.Length {
			return false
		}
		end = r.Start + r.Length
	}
	return true
}
