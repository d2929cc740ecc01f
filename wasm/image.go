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
// all the state a guest has while none of its functions run. Instances are
// made from it by copy-on-write mapping. Safe for concurrent use.
//
// An image lives in a file. Its maker keeps that file, or lets the system
// remove it with the last user of it.
type Image struct {
	f       *os.File
	size    int64 // bytes of memory
	start   int64 // where in the memory the file's content begins; all before is zero
	length  int64 // bytes of the file's content; all after is zero
	globals []uint64
	note    []byte

	hot     atomic.Pointer[[]span] // pages that a first call writes to
	hotOnce atomic.Bool            // somebody is finding out

	closing  sync.Once
	closeErr error
}

// The file: a header of headerSize bytes (magic, length and checksum of the
// JSON, the JSON), then the memory without the zeros at its beginning and end,
// which are the stack and what the heap has not used yet.
const (
	imageMagic  = "VIVIMG\x00\x01"
	headerSize  = 64 << 10 // a multiple of every page size there is
	headerFixed = len(imageMagic) + 8
)

type imageHeader struct {
	Key     string   // whose image it is: guest and owner
	Size    int64    // bytes of memory
	Start   int64    // where the content begins
	Length  int64    // bytes of content
	CRC     uint32   // Castagnoli, of the content
	Globals []uint64 // in the order of the engine's global names
	Note    []byte   // the owner's
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrImage says that an image file is damaged, incomplete, or of another guest
// or owner. Build a new one.
var ErrImage = errors.New("wasm: unusable image file")

// Size returns the bytes of linear memory that an instance starts with.
func (m *Image) Size() int64 { return m.size }

// Note returns what the owner stored with the image.
func (m *Image) Note() []byte { return m.note }

// Close lets go of the image's file. Instances made from it are not affected;
// no new ones can be made.
func (m *Image) Close() error {
	m.closing.Do(func() { m.closeErr = m.f.Close() })
	return m.closeErr
}

// writeImage stores memory as an image. With an empty path the file has no
// name; otherwise it appears under path complete or not at all.
func writeImage(dir, path, key string, memory []byte, globals []uint64, note []byte) (_ *Image, err error) {
	start, end := content(memory)
	header, err := json.Marshal(imageHeader{
		Key: key, Size: int64(len(memory)), Start: int64(start), Length: int64(end - start),
		CRC: crc32.Checksum(memory[start:end], castagnoli), Globals: globals, Note: note,
	})
	if err != nil {
		return nil, fmt.Errorf("wasm: image header: %w", err)
	}
	if headerFixed+len(header) > headerSize {
		return nil, fmt.Errorf("wasm: image header of %d bytes is too large", len(header))
	}
	if path != "" {
		dir = filepath.Dir(path)
	}
	f, err := os.CreateTemp(dir, "image-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("wasm: image: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	fixed := append([]byte(imageMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(fixed[len(imageMagic):], uint32(len(header)))
	binary.LittleEndian.PutUint32(fixed[len(imageMagic)+4:], crc32.Checksum(header, castagnoli))
	if _, err = f.WriteAt(append(fixed, header...), 0); err != nil {
		return nil, fmt.Errorf("wasm: write image: %w", err)
	}
	if _, err = f.WriteAt(memory[start:end], headerSize); err != nil {
		return nil, fmt.Errorf("wasm: write image: %w", err)
	}
	if path == "" {
		err = os.Remove(f.Name())
	} else {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("wasm: image: %w", err)
	}
	return &Image{
		f: f, size: int64(len(memory)), start: int64(start), length: int64(end - start), globals: globals, note: note,
	}, nil
}

// content returns where the part of a memory begins and ends that is not zero,
// in whole blocks.
func content(memory []byte) (start, end int) {
	const block = 64 << 10 // no page is larger
	var zeros [block]byte
	isZero := func(at int) bool { return bytes.Equal(memory[at:at+block], zeros[:]) }
	for end = len(memory); end > 0 && isZero(end-block); end -= block {
	}
	for start < end && isZero(start) {
		start += block
	}
	return start, end
}

// openImage opens and verifies the image at path. What is wrong with the file
// itself comes as ErrImage.
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
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, fmt.Errorf("%w: %s: header: %v", ErrImage, path, err)
	}
	n := binary.LittleEndian.Uint32(head[len(imageMagic):])
	if !bytes.HasPrefix(head, []byte(imageMagic)) || int64(n) > int64(headerSize-headerFixed) {
		return nil, fmt.Errorf("%w: %s: no image header", ErrImage, path)
	}
	text := head[headerFixed : headerFixed+int(n)]
	if crc32.Checksum(text, castagnoli) != binary.LittleEndian.Uint32(head[len(imageMagic)+4:]) {
		return nil, fmt.Errorf("%w: %s: header checksum", ErrImage, path)
	}
	var h imageHeader
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("%w: %s: header: %v", ErrImage, path, err)
	}
	if h.Key != key || len(h.Globals) != globals {
		return nil, fmt.Errorf("%w: %s: belongs to another guest or owner", ErrImage, path)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("wasm: image: %w", err)
	}
	if info.Size() != headerSize+h.Length {
		return nil, fmt.Errorf("%w: %s: has %d bytes, expected %d", ErrImage, path, info.Size(), headerSize+h.Length)
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, headerSize, h.Length)); err != nil {
		return nil, fmt.Errorf("wasm: read image: %w", err)
	}
	if sum.Sum32() != h.CRC {
		return nil, fmt.Errorf("%w: %s: memory checksum", ErrImage, path)
	}
	return &Image{f: f, size: h.Size, start: h.Start, length: h.Length, globals: h.Globals, note: h.Note}, nil
}
