package host

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

// TestArchiveAttacks uploads archives that attack: whoever deploys need not be
// trusted with the server's memory and files. An archive is refused with a
// reason, and without the memory that it asks for; or it is taken and
// its function sees what the attack says.
func TestArchiveAttacks(t *testing.T) {
	r := newAttackRange(t)
	for n, a := range readAttacks(t, archiveSuite) {
		if n%archiveStride != 0 {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			r.t = t
			archive, err := a.build()
			if err != nil {
				t.Fatal(err)
			}
			var code *vfs.Tree
			took, grown := r.watch(t, a.heap, func() { code, err = run.CodeFromZip(archive) })
			checkUse(t, a, took, grown, a.heap)
			if a.refused != "" {
				if err == nil || !strings.Contains(err.Error(), a.refused) {
					t.Errorf("got error %v, want a refusal with %q", err, a.refused)
				}
				r.askNeighbour(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v, err := r.Catalog().DeployTransient(access.Operator, "attacker", a.spec, code)
			if err != nil {
				t.Fatal(err)
			}
			v.Tenant = "attacker"
			got, err := r.raw("attacker", a.event)
			a.judge(t, got, err)
			r.checkNextCall(t, a)
			r.askNeighbour(t)
		})
	}
	r.close(t)
}

// build makes the archive. Each line of its section is an entry or changes the
// whole:
//
//	file NAME [TEXT]      a file; %q-quoted names have escapes
//	dir NAME
//	link NAME TARGET      a symbolic link, as zip stores it
//	mode OCTAL NAME TEXT  a file with Unix mode bits
//	zeros NAME MIB        a compressed file of zeros
//	liar NAME SIZE        a file that declares another size than it has
//	many COUNT            that many empty files
//	deep COUNT FOLDERS    that many files, each in as many folders of its own
//	records COUNT         that many records in the directory, all alike
//	cut BYTES             cuts the archive's end off
//	flip OFFSET           changes a byte, counted from the end
//	garbage BYTES         no archive at all
func (a *attack) build() ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, 9) })
	var after []func([]byte) []byte
	for line := range strings.Lines(a.archive) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, text := entryName(rest)
		number, _ := strconv.Atoi(rest)
		var err error
		switch verb {
		case "file":
			err = addEntry(w, &zip.FileHeader{Name: name, Method: zip.Deflate}, strings.NewReader(text))
		case "dir":
			err = addEntry(w, &zip.FileHeader{Name: name}, strings.NewReader(""))
		case "link":
			h := &zip.FileHeader{Name: name}
			h.SetMode(fs.ModeSymlink | 0o777)
			err = addEntry(w, h, strings.NewReader(text))
		case "mode":
			bits, rest := entryName(rest)
			name, text = entryName(rest)
			mode, parseErr := strconv.ParseUint(bits, 8, 32)
			if parseErr != nil {
				return nil, parseErr
			}
			h := &zip.FileHeader{Name: name, CreatorVersion: 3 << 8, ExternalAttrs: uint32(mode) << 16}
			err = addEntry(w, h, strings.NewReader(text))
		case "zeros":
			mib, _ := strconv.ParseInt(text, 10, 64)
			err = addZeros(w, name, mib)
		case "liar":
			size, _ := strconv.ParseUint(text, 10, 64)
			err = addLiar(w, name, size)
		case "many":
			for n := range number {
				if err = addEntry(w, &zip.FileHeader{Name: fmt.Sprintf("m/%d", n)}, strings.NewReader("")); err != nil {
					break
				}
			}
		case "deep":
			folders, _ := strconv.Atoi(text)
			count, _ := strconv.Atoi(name)
			for n := range count {
				name := fmt.Sprint(n, strings.Repeat("/d", folders-1), "/f")
				if err = addEntry(w, &zip.FileHeader{Name: name}, strings.NewReader("")); err != nil {
					break
				}
			}
		case "records":
			return manyRecords(number), nil
		case "cut":
			after = append(after, func(b []byte) []byte { return b[:max(len(b)-number, 0)] })
		case "flip":
			after = append(after, func(b []byte) []byte { b[len(b)-number] ^= 0xff; return b })
		case "garbage":
			return bytes.Repeat([]byte("PK\x05\x06\xff\xff\xff\xff"), number/8), nil
		default:
			err = fmt.Errorf("archive: no such line: %s", line)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	archive := b.Bytes()
	for _, change := range after {
		archive = change(archive)
	}
	return archive, nil
}

// entryName splits a line into its first word, which may be quoted, and the rest.
func entryName(line string) (name, rest string) {
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		name, _ = strconv.Unquote(quoted)
		return name, strings.TrimPrefix(line[len(quoted):], " ")
	}
	name, rest, _ = strings.Cut(line, " ")
	return name, rest
}

func addEntry(w *zip.Writer, h *zip.FileHeader, contents io.Reader) error {
	f, err := w.CreateHeader(h)
	if err != nil {
		return err
	}
	if strings.HasSuffix(h.Name, "/") {
		return nil
	}
	_, err = io.Copy(f, contents)
	return err
}

// addLiar adds a file of ten bytes whose records say that it has size.
func addLiar(w *zip.Writer, name string, size uint64) error {
	data := []byte("0123456789")
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: name, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(len(data)), UncompressedSize64: size,
	})
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// manyRecords returns an archive that is nothing but a directory. The number of
// its records is true only in its lower 16 bits, as readers accept it.
func manyRecords(count int) []byte {
	record := make([]byte, 46)
	copy(record, "PK\x01\x02")
	directory := bytes.Repeat(record, count)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], uint16(count))
	binary.LittleEndian.PutUint16(end[10:], uint16(count))
	binary.LittleEndian.PutUint32(end[12:], uint32(len(directory)))
	return append(directory, end...)
}

// addZeros adds a compressed file of so many MiB of zeros. A MiB is compressed
// once: what the others become is the same.
func addZeros(w *zip.Writer, name string, mib int64) error {
	var stream bytes.Buffer
	c, err := flate.NewWriter(&stream, flate.BestCompression)
	if err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	if _, err := c.Write(chunk); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	part := bytes.Clone(stream.Bytes())
	stream.Reset()
	if err := c.Close(); err != nil {
		return err
	}
	end, sum := stream.Bytes(), crc32.NewIEEE()
	for range mib {
		sum.Write(chunk)
	}
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Deflate, CRC32: sum.Sum32(),
		CompressedSize64: uint64(mib)*uint64(len(part)) + uint64(len(end)), UncompressedSize64: uint64(mib) << 20,
	})
	if err != nil {
		return err
	}
	for range mib {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	_, err = f.Write(end)
	return err
}
