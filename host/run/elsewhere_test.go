package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/quota"
)

// sharing are hosts that know the same versions, as nodes do.
func sharing(t *testing.T, a, b testConfig, source string) (from, to *testHost, v *catalog.Version) {
	t.Helper()
	from, to = newTestHost(t, a), newTestHost(t, b)
	v = &catalog.Version{
		ID: catalog.NewID(catalog.VersionPrefix), FunctionID: "function-shared", FunctionName: "shared",
		Tenant: access.DefaultTenant, CreatedAt: time.Now(),
		VersionSpec: catalog.VersionSpec{Entrypoint: "main.handler", Timeout: time.Minute}.WithDefaults(),
	}
	for _, h := range []*testHost{from, to} {
		code, err := CodeFromFS(fstest.MapFS{"main.py": {Data: []byte(source)}})
		if err != nil {
			t.Fatal(err)
		}
		h.Add(v, code, nil)
		h.versions["shared"] = v
	}
	to.ShareImages(from.copies(nil))
	return from, to, v
}

// give returns an image for another host.
func (h *testHost) give(versionID, key string) (*io.SectionReader, func(), error) {
	return h.maker.giveImage(h.version(versionID), key)
}

// copies returns what gives a host's images to another one. Change, if set, may change what
// is sent.
func (h *testHost) copies(change func(io.Reader) io.Reader) imageSource {
	return func(_ context.Context, v *catalog.Version, key string) (io.ReadCloser, error) {
		content, done, err := h.give(v.ID, key)
		if err != nil {
			return nil, err
		}
		var r io.Reader = content
		if change != nil {
			r = change(r)
		}
		return sent{r, done}, nil
	}
}

// sent is an image that is read by another host.
type sent struct {
	io.Reader
	done func()
}

func (s sent) Close() error {
	s.done()
	return nil
}

// imported says when it is imported.
const imported = `
print("importing")
STATE = {"calls": 0}
def handler(event, context):
    STATE["calls"] += 1
    return STATE["calls"]
`

// A version's image is made once, and other hosts copy it: while the one that has made it uses it,
// and also if it has only the file of an earlier run.
func TestShareImages_MadeOnce(t *testing.T) {
	for name, dirs := range map[string][2]string{
		"in files": {t.TempDir(), t.TempDir()}, "without names": {}, "into a file": {"", t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			from, to, v := sharing(t, testConfig{ImageDir: dirs[0]}, testConfig{ImageDir: dirs[1]}, imported)
			if why := from.Prepare(t.Context(), v.ID); why != nil {
				t.Fatal(why)
			}
			to.want("shared", "", "1")
			from.want("shared", "", "1")
			if a, b := from.Stats(), to.Stats(); a.Images != 1 || a.Copied != 0 || b.Images != 0 || b.Copied != 1 {
				t.Errorf("made %d and %d, copied %d and %d", a.Images, b.Images, a.Copied, b.Copied)
			}
			// The module's output is logged as if it had been imported here.
			if n := len(to.log("importing")); n != 1 {
				t.Errorf("logged %d times", n)
			}
			// It is charged for like one that was made.
			size := from.room.ledger.Total(quota.ImageBytes)
			if got := to.room.ledger.Total(quota.ImageBytes); got != size || got == 0 {
				t.Errorf("charged for %d bytes, the first one for %d", got, size)
			}
			if dirs[1] == "" {
				return
			}
			// The copy outlives the process, and can be copied from there.
			third := newTestHost(t, testConfig{})
			fourth := newTestHost(t, testConfig{ImageDir: dirs[1]})
			for _, h := range []*testHost{third, fourth} {
				code, err := CodeFromFS(fstest.MapFS{"main.py": {Data: []byte(imported)}})
				if err != nil {
					t.Fatal(err)
				}
				h.Add(v, code, nil)
				h.versions["shared"] = v
			}
			third.ShareImages(fourth.copies(nil))
			third.want("shared", "", "1")
			if s := third.Stats(); s.Images != 0 || s.Copied != 1 {
				t.Errorf("from a file: made %d, copied %d", s.Images, s.Copied)
			}
			if used := fourth.room.ledger.Total(quota.ImageBytes); used != 0 {
				t.Errorf("whoever gave a file is charged for %d bytes", used)
			}
		})
	}
}

// What comes from elsewhere is not trusted: a function has an image whatever others send.
func TestShareImages_MakesItWhenTheCopyIsBad(t *testing.T) {
	broken := errors.New("the connection broke")
	for name, change := range map[string]func(io.Reader) io.Reader{
		"nothing":  func(io.Reader) io.Reader { return bytes.NewReader(nil) },
		"a part":   func(r io.Reader) io.Reader { return io.LimitReader(r, 1<<20) },
		"an error": func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 1<<20), failing{broken}) },
		"noise":    func(io.Reader) io.Reader { return bytes.NewReader(bytes.Repeat([]byte("noise"), 1<<20)) },
		"other bytes": func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 1<<20), io.MultiReader(bytes.NewReader([]byte("x")), r))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			from, to, v := sharing(t, testConfig{}, testConfig{ImageDir: dir}, imported)
			to.ShareImages(from.copies(change))
			from.want("shared", "", "1")
			to.want("shared", "", "1")
			if s := to.Stats(); s.Images != 1 || s.Copied != 0 {
				t.Errorf("made %d, copied %d", s.Images, s.Copied)
			}
			info, err := os.Stat(filepath.Join(dir, v.ID+".image"))
			if err != nil {
				t.Fatal(err)
			}
			if used := to.room.ledger.Total(quota.ImageBytes); used != info.Size() {
				t.Errorf("charged for %d bytes of %d", used, info.Size())
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("%d files", len(left))
			}
		})
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A copy needs the room that an image which is made needs.
func TestShareImages_CountsAgainstTheQuota(t *testing.T) {
	small := testConfig{ImageDir: t.TempDir(), Quotas: quota.Amounts{quota.ImageBytes: 1 << 20}}
	from, to, _ := sharing(t, testConfig{}, small, imported)
	from.want("shared", "", "1")
	if _, err := to.raw("shared", ""); err == nil {
		t.Error("a tenant has a larger image than it may have")
	}
	if used := to.room.ledger.Total(quota.ImageBytes); used != 0 {
		t.Errorf("charged for %d bytes", used)
	}
	if left, _ := os.ReadDir(small.ImageDir); len(left) != 0 {
		t.Errorf("%d files", len(left))
	}
}

// An image in which loading failed is not for others: where there is more time it may succeed.
func TestShareImages_FaultsStayWhereTheyAre(t *testing.T) {
	from, to, v := sharing(t, testConfig{}, testConfig{}, "import nothing_of_that_name\n")
	for _, h := range []*testHost{from, to} {
		h.wantFault("shared", "", "ModuleNotFoundError")
		if s := h.Stats(); s.Images != 1 || s.Copied != 0 {
			t.Errorf("made %d, copied %d", s.Images, s.Copied)
		}
	}
	e, err := testEngines.engine(t.Context(), v.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := from.give(v.ID, keyOf(e)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Images are given only to those who would make the same, and only of versions that others
// can know; giving one keeps it from being removed meanwhile.
func TestShareImages_GivesWhatIsWorthIt(t *testing.T) {
	from, _, v := sharing(t, testConfig{ImageDir: t.TempDir()}, testConfig{}, imported)
	alone := from.deploy("alone", imported, catalog.VersionSpec{Timeout: time.Minute})
	from.want("alone", "", "1")
	from.want("shared", "", "1")
	e, err := testEngines.engine(t.Context(), v.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	key := keyOf(e)
	for _, c := range []struct{ version, key string }{
		{v.ID, ""}, {v.ID, "x" + key}, {"", key}, {"../" + v.ID, key}, {alone.ID, key}, {catalog.NewID(catalog.VersionPrefix), key},
	} {
		if _, _, err := from.give(c.version, c.key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: got %v", c, err)
		}
	}
	content, done, err := from.give(v.ID, key)
	if err != nil {
		t.Fatal(err)
	}
	from.reclaim()
	images := func() (n int) {
		for from.Reclaim(access.DefaultTenant, quota.ImageBytes, true) {
			n++
		}
		return n
	}
	if n := images(); n != 1 { // that of alone
		t.Errorf("%d images were removed while one is read", n)
	}
	if n, err := io.Copy(io.Discard, content); err != nil || n != content.Size() {
		t.Errorf("read %d bytes of %d: %v", n, content.Size(), err)
	}
	done()
	if n := images(); n != 1 {
		t.Errorf("%d images were removed when nobody read any", n)
	}
	if used := from.room.ledger.Total(quota.ImageBytes); used != 0 {
		t.Errorf("charged for %d bytes", used)
	}
}
