package wasm

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Content returns what the image's file has, for another process's ReceiveImage. It can be read
// until Close.
func (m *Image) Content() *io.SectionReader { return io.NewSectionReader(m.f, 0, m.FileSize()) }

// receiveImage is Engine.ReceiveImage.
func receiveImage(
	dir, path, key string, globals int, from io.Reader, room func(bytes int64) error,
) (*Image, error) {
	var head bytes.Buffer
	m, crc, err := readHeader(io.TeeReader(from, &head), key, globals)
	if err != nil {
		return nil, err
	}
	if err := room(m.FileSize()); err != nil {
		return nil, err
	}
	m.f, err = createImage(dir, path, func(f *os.File) error {
		if _, err := f.Write(head.Bytes()); err != nil {
			return fmt.Errorf("wasm: write image: %w", err)
		}
		sum := crc32.New(castagnoli)
		if _, err := io.CopyN(io.MultiWriter(f, sum), from, m.length); err != nil {
			return fmt.Errorf("wasm: receive image: %w", err)
		}
		if sum.Sum32() != crc {
			return fmt.Errorf("%w: memory checksum", ErrImage)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
