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
	"testing"
)

// made returns the content of an image that an engine has made for an owner, whose guest answers
// "mb" with "ab".
func made(t testing.TB, e *Engine, owner string) []byte {
	t.Helper()
	i := actor(t, e, 1<<20)
	invoke(t, i, "ma")
	image, err := i.Freeze("", owner, []byte("note"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	content, err := io.ReadAll(image.Content())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// withHeader returns an image whose header is changed, and has the right checksum.
func withHeader(t testing.TB, image []byte, change func(h *imageHeader)) []byte {
	t.Helper()
	n := int(binary.LittleEndian.Uint32(image[len(imageMagic):]))
	var h imageHeader
	if err := json.Unmarshal(image[headerFixed:headerFixed+n], &h); err != nil {
		t.Fatal(err)
	}
	change(&h)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(image)
	clear(changed[headerFixed:headerSize])
	copy(changed[headerFixed:], text)
	binary.LittleEndian.PutUint32(changed[len(imageMagic):], uint32(len(text)))
	binary.LittleEndian.PutUint32(changed[len(imageMagic)+4:], crc32.Checksum(text, castagnoli))
	return changed
}

// An image that one engine has made is as good in another, in a file or without one.
func TestReceiveImage_IsWhatWasSent(t *testing.T) {
	sent := made(t, newTestEngine(t, "acts.wasm", nil), "owner")
	e := newTestEngine(t, "acts.wasm", nil)
	for _, path := range []string{"", filepath.Join(t.TempDir(), "an.image")} {
		asked := int64(0)
		image, err := e.ReceiveImage(path, "owner", bytes.NewReader(sent), func(n int64) error { asked = n; return nil })
		if err != nil {
			t.Fatal(err)
		}
		defer image.Close()
		if got := invoke(t, cloneOf(t, e, image, 1<<20), "mb"); got != "ab" || string(image.Note()) != "note" {
			t.Errorf("got %q with note %q", got, image.Note())
		}
		if asked != int64(len(sent)) || image.FileSize() != asked {
			t.Errorf("asked for room for %d bytes, has %d, sent %d", asked, image.FileSize(), len(sent))
		}
		if path == "" {
			continue
		}
		again, err := e.OpenImage(path, "owner")
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Close()
	}
}

// What is not an image of this guest and owner is refused, and nothing of it stays. Above all
// nothing is mapped where the image has no memory.
func TestReceiveImage_TrustsNobody(t *testing.T) {
	dir := t.TempDir()
	e := newTestEngine(t, "acts.wasm", func(c *Config) { c.TempDir = dir })
	sent := made(t, e, "owner")
	header := func(change func(*imageHeader)) []byte { return withHeader(t, sent, change) }
	// Apart from its parts such an image is a good one.
	runs := func(size int64, parts ...run) []byte {
		total := int64(0)
		for _, r := range parts {
			total += r.Length
		}
		content := make([]byte, min(max(total, 0), 32*imageBlock))
		bad := header(func(h *imageHeader) { h.Size, h.Runs, h.CRC = size, parts, crc32.Checksum(content, castagnoli) })
		return append(bad[:headerSize], content...)
	}
	flipped := bytes.Clone(sent)
	flipped[headerSize+70] ^= 1
	const block = imageBlock
	var many []run
	for n := range int64(maxRuns + 1) {
		many = append(many, run{2 * n * block, block})
	}
	cases := map[string][]byte{
		"nothing":               nil,
		"half a header":         sent[:headerSize/2],
		"only a header":         sent[:headerSize],
		"a part of the memory":  sent[:len(sent)-1],
		"a bit in the memory":   flipped,
		"another owner":         made(t, e, "other"),
		"another guest":         header(func(h *imageHeader) { h.Key = "x" + h.Key }),
		"a global less":         header(func(h *imageHeader) { h.Globals = h.Globals[1:] }),
		"no memory":             runs(0),
		"less than no memory":   header(func(h *imageHeader) { h.Size = -h.Size }),
		"half a page":           header(func(h *imageHeader) { h.Size++ }),
		"too much memory":       header(func(h *imageHeader) { h.Size = MaxMemory + pageSize }),
		"a part before it":      runs(8*block, run{-block, block}),
		"a part after it":       runs(8*block, run{8 * block, block}),
		"a part across its end": runs(8*block, run{7 * block, 2 * block}),
		"a part that is huge":   runs(8*block, run{block, 1<<63 - block}),
		"an empty part":         runs(8*block, run{block, 0}),
		"a negative part":       runs(8*block, run{4 * block, -block}),
		"a part within a page":  runs(8*block, run{block / 2, block}),
		"half a page of it":     runs(8*block, run{block, block / 2}),
		"the same part twice":   runs(8*block, run{block, block}, run{block, block}),
		"parts that overlap":    runs(8*block, run{0, 2 * block}, run{block, block}),
		"parts in disorder":     runs(8*block, run{2 * block, block}, run{0, block}),
		"too many parts":        runs(64*block, many...),
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.image")
			for _, to := range []string{"", path} {
				image, err := e.ReceiveImage(to, "owner", bytes.NewReader(bad), func(int64) error { return nil })
				if !errors.Is(err, ErrImage) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v, %v", image, err)
				}
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
				t.Errorf("%d files stay", len(left))
			}
			// A file that was there before is trusted no more.
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if image, err := e.OpenImage(path, "owner"); !errors.Is(err, ErrImage) {
				t.Errorf("opened: got %v, %v", image, err)
			}
		})
	}
	if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
		t.Errorf("%d temporary files, there were %d: %v", len(after), len(before), err)
	}
}

// Nothing is stored for which there is no room.
func TestReceiveImage_AsksForRoomFirst(t *testing.T) {
	e := newTestEngine(t, "acts.wasm", nil)
	refused := fmt.Errorf("no room")
	from := bytes.NewReader(made(t, e, "owner"))
	_, err := e.ReceiveImage("", "owner", from, func(int64) error { return refused })
	if !errors.Is(err, refused) || from.Size()-int64(from.Len()) != headerSize {
		t.Errorf("got %v after %d bytes", err, from.Size()-int64(from.Len()))
	}
}
