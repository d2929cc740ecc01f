package host

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// TestDoubtfulStoreAttacks damages the store between a stop and a start. Whatever
// is lost: a server that had keys is not open, nothing is deleted for the reason
// that what refers to it can't be read, the log says what is wrong, and with the
// damaged part restored all is there again. -attacks.all damages more places.
func TestDoubtfulStoreAttacks(t *testing.T) {
	original := t.TempDir()
	want := doubtfulStore(t, original)
	damages := map[string]func(text []byte) []byte{ // nil removes the file
		"truncated": func(text []byte) []byte { return text[:len(text)/2] },
		"emptied":   func([]byte) []byte { return []byte{} },
		"missing":   func([]byte) []byte { return nil },
	}
	flips := 2
	if *allAttacks {
		flips = 40
	}
	for n := range flips {
		damages[fmt.Sprintf("a bit flipped at %d of %d", n+1, flips+1)] = func(text []byte) []byte {
			text = bytes.Clone(text)
			text[len(text)*(n+1)/(flips+1)] ^= 4
			return text
		}
	}
	for _, bucket := range []string{"keys", "functions", "versions", "quotas"} {
		stream := findStream(t, original, bucket)
		for n, damage := range slices.Sorted(maps.Keys(damages)) {
			if (bucket == "versions" || bucket == "quotas") && n%3 > 0 && !*allAttacks {
				continue
			}
			t.Run(bucket+" "+damage, func(t *testing.T) {
				dir := copyOf(t, original)
				file := filepath.Join(dir, stream, "msgs", "1.blk")
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if text = damages[damage](text); text == nil {
					err = os.Remove(file)
				} else {
					err = os.WriteFile(file, text, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				meetDoubt(t, dir, original, stream, want)
			})
		}
		t.Run(bucket+" gone", func(t *testing.T) {
			dir := copyOf(t, original)
			if err := os.RemoveAll(filepath.Join(dir, stream)); err != nil {
				t.Fatal(err)
			}
			meetDoubt(t, dir, original, stream, want)
		})
	}
	t.Run("all gone but the marks", func(t *testing.T) {
		dir := copyOf(t, original)
		if err := os.RemoveAll(filepath.Join(dir, "jetstream")); err != nil {
			t.Fatal(err)
		}
		meetDoubt(t, dir, original, "jetstream", want)
	})
	t.Run("the marks can't be read", func(t *testing.T) {
		dir := copyOf(t, original)
		if err := os.WriteFile(filepath.Join(dir, "marks"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		meetDoubt(t, dir, original, "marks", want)
	})
}

// doubtfulStore fills a store and returns what is in it.
func doubtfulStore(t *testing.T, dir string) (contents string) {
	s := openStore(t, dir)
	defer s.Close()
	h := newTestHost(t, Config{Store: s})
	defer h.Close()
	for n := range 3 {
		name := fmt.Sprint("fun-", n)
		h.create(name)
		for m := range 2 {
			h.version(name, answering(fmt.Sprint(n, m)), catalog.VersionSpec{NoFreeze: true})
		}
	}
	if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun-2"); err != nil {
		t.Fatal(err)
	}
	h.key(access.AllTenants, access.RoleAdmin)
	deleted := h.key("acme", access.RoleAdmin)
	h.key("acme", access.RoleInvoker)
	if err := h.keys.Delete(t.Context(), access.Operator, deleted.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "acme", map[quota.Quota]int64{quota.Functions: 1}); err != nil {
		t.Fatal(err)
	}
	return contentsOf(t, h.Host)
}

// contentsOf tells what a host and its store have.
func contentsOf(t *testing.T, h *Host) string {
	t.Helper()
	var all []string
	functions, err := h.Catalog().Functions(access.Operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		versions, err := h.Catalog().Versions(access.Operator, f.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			archive, err := h.Catalog().Archive(t.Context(), access.Operator, v.ID)
			all = append(all, fmt.Sprint(f.Name, f.ID, v.ID, v.Tags, len(archive), err))
		}
	}
	keys, err := h.keys.List(access.Operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		all = append(all, fmt.Sprint(k.ID, k.Tenant, k.Role))
	}
	all = append(all, fmt.Sprint("limits ", h.ledger.Own("acme")))
	return strings.Join(all, "\n")
}

// meetDoubt starts a host on a damaged store, and then on one that is mended.
func meetDoubt(t *testing.T, dir, original, damaged, want string) {
	t.Helper()
	var log bytes.Buffer
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Logf("refused: %v", err) // closed, too
		return
	}
	h, err := New(Config{Engines: testEngines, Store: s, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err == nil {
		if !h.Keys().Exist() {
			t.Error("the server is open")
		}
		got := contentsOf(t, h)
		complaint := log.String()
		if got != want && !strings.Contains(complaint, "level=ERROR") {
			t.Errorf("nothing is said of a damage; there is\n%s\nand was\n%s\nlog: %s", got, want, complaint)
		}
		h.Close()
	} else {
		t.Logf("refused: %v", err)
	}
	s.Close()
	if err := os.RemoveAll(filepath.Join(dir, damaged)); err != nil {
		t.Fatal(err)
	}
	copyTo(t, filepath.Join(original, damaged), filepath.Join(dir, damaged))
	s = openStore(t, dir)
	defer s.Close()
	h = newTestHost(t, Config{Store: s}).Host
	defer h.Close()
	if got := contentsOf(t, h); got != want {
		t.Errorf("restored, there is\n%s\nand was\n%s", got, want)
	}
}

// findStream returns the folder of a bucket's stream, within dir.
func findStream(t *testing.T, dir, bucket string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && d.Name() == "KV_vivarium_"+bucket {
			found, err = filepath.Rel(dir, path)
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no stream of %s: %v", bucket, err)
	}
	return found
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	copyTo(t, dir, to)
	return to
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		var text []byte
		if text, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
