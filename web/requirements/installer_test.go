package requirements

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// wheel writes a wheel with one module, of the package's name.
func wheel(t *testing.T, dir, name, version, metadata string, module io.Reader) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name+"-"+version+"-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(f)
	info := name + "-" + version + ".dist-info/"
	for file, content := range map[string]io.Reader{
		name + ".py":      module,
		info + "METADATA": strings.NewReader(metadata),
		info + "WHEEL":    strings.NewReader("Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
		info + "RECORD":   strings.NewReader(name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"),
	} {
		w, err := archive.Create(file)
		if err == nil {
			_, err = io.Copy(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// zeros reads as zeros without end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestInstall_BoundsWhatWheelsUnpackTo installs a wheel that is small to fetch.
func TestInstall_BoundsWhatWheelsUnpackTo(t *testing.T) {
	wheels, dir := offline(t), t.TempDir()
	wheel(t, wheels, "bomb", "1.0", metadata("bomb", "1.0"), io.LimitReader(zeros{}, 64<<20))
	i, err := Find(t.Context(), "3.13.5", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i.bound = bound{bytes: 8 << 20, names: 1000}
	_, _, err = i.Install(t.Context(), &List{Packages: []Requirement{{Name: "bomb"}}}, dir)
	if _, large := errors.AsType[*LargeError](err); !large {
		t.Errorf("got %v, want a LargeError", err)
	}
}

// TestBound_EndsWhatGrows fills a folder until the bound ends it.
func TestBound_EndsWhatGrows(t *testing.T) {
	for what, grow := range map[string]func(dir string, n int) error{
		"bytes": func(dir string, n int) error {
			return os.WriteFile(filepath.Join(dir, strconv.Itoa(n%5)), make([]byte, 4096*n), 0o600)
		},
		"names": func(dir string, n int) error {
			return os.MkdirAll(filepath.Join(dir, strconv.Itoa(n%100), strconv.Itoa(n)), 0o700)
		},
	} {
		dir := t.TempDir()
		err := bound{bytes: 1 << 20, names: 50}.watch(t.Context(), dir, func(ctx context.Context) error {
			for n := 0; ctx.Err() == nil; n++ {
				if err := grow(dir, min(n, 10_000)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if _, large := errors.AsType[*LargeError](err); !large {
			t.Errorf("%s: got %v, want a LargeError", what, err)
		}
	}
	if err := defaultBound.watch(t.Context(), t.TempDir(), func(context.Context) error { return io.EOF }); err != io.EOF {
		t.Errorf("got %v, want what was returned", err)
	}
}
