package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

var crashRounds = flag.Int("crash-rounds", 10, "how often TestCrash kills a host that is deploying")

// crashDirVariable makes this test program the one that is killed: it deploys
// to the store in that directory until then.
const crashDirVariable = "VIVARIUM_TEST_CRASH_DIR"

// crashWorker does what deploying consists of, over and over, and says on
// standard output what it is about to do and what was acknowledged.
func crashWorker(dir string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	h, err := New(Config{Engines: testEngines, Store: s})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("fun-%d-%d", os.Getpid(), i/20)
		if i%20 == 0 {
			if _, err := h.Catalog().CreateFunction(ctx, access.Operator, catalog.FunctionSpec{Name: name}); err != nil {
				return err
			}
			fmt.Println("function", name)
		}
		var archive bytes.Buffer
		t := &testing.T{}
		archive.Write(archiveOf(t, answering(fmt.Sprintf("%s %d", name, i))))
		v, err := h.Catalog().CreateVersion(ctx, access.Operator, name, catalog.VersionSpec{Entrypoint: "main.handler"}, archive.Bytes(), []string{"prod"})
		if err != nil {
			return err
		}
		fmt.Println("version", name, v.ID)
		if i%5 == 4 {
			if err := h.Catalog().DeleteVersion(ctx, access.Operator, v.ID, true); err != nil {
				return err
			}
			fmt.Println("deleted", name, v.ID)
		}
		if i%40 == 39 {
			if err := h.Catalog().DeleteFunction(ctx, access.Operator, name); err != nil {
				return err
			}
			fmt.Println("removed", name)
		}
	}
}

// TestCrash_LosesNoAcknowledgedDeployAndShowsNoHalfVersion kills a process that
// deploys, at any moment, and looks at what a new one finds; many times over on
// the same store. With -crash-rounds=200 it takes minutes.
func TestCrash_LosesNoAcknowledgedDeployAndShowsNoHalfVersion(t *testing.T) {
	dir := t.TempDir()
	acknowledged := &crashRecord{versions: map[string]map[string]bool{}, latest: map[string]string{}}
	for round := range *crashRounds {
		acknowledged.run(t, dir)
		acknowledged.check(t, dir, round)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rounds, %d operations acknowledged", *crashRounds, acknowledged.count)
}

// crashRecord is what was acknowledged so far, in all rounds.
type crashRecord struct {
	count    int
	versions map[string]map[string]bool // by function; false when deleted
	latest   map[string]string          // the last version acknowledged, by function
	open     string                     // the function that the worker was at when it died
}

// run starts a worker and kills it while it deploys.
func (c *crashRecord) run(t *testing.T, dir string) {
	t.Helper()
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), crashDirVariable+"="+dir)
	var complaints bytes.Buffer
	worker.Stderr = &complaints
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	c.open = ""
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !killed { // at the first sign of life the clock starts
			killed = true
			delay := time.Duration(rand.Int64N(int64(150 * time.Millisecond)))
			time.AfterFunc(delay, func() { _ = worker.Process.Kill() })
		}
		c.note(strings.Fields(lines.Text()))
	}
	_ = worker.Wait() // it was killed
	if !killed || complaints.Len() > 0 {
		t.Fatalf("the worker: %s", complaints.String())
	}
}

func (c *crashRecord) note(line []string) {
	c.count++
	name := line[1]
	c.open = name
	switch line[0] {
	case "function":
		c.versions[name] = map[string]bool{}
	case "version":
		c.versions[name][line[2]] = true
		c.latest[name] = line[2]
	case "deleted":
		c.versions[name][line[2]] = false
		delete(c.latest, name)
	case "removed":
		delete(c.versions, name)
		delete(c.latest, name)
	}
}

// check opens the store and compares. Of the function that the worker was at,
// one more operation than was acknowledged may have happened.
func (c *crashRecord) check(t *testing.T, dir string, round int) {
	t.Helper()
	s := openStore(t, dir)
	defer s.Close()
	h, err := New(Config{Engines: testEngines, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	roomtest.Until(t, "what was being deleted is gone", func() bool {
		functions, err := h.Catalog().Functions(access.Operator)
		return err == nil && !slices.ContainsFunc(functions, func(f catalog.FunctionInfo) bool {
			return f.Status == catalog.StatusDeleting
		})
	})
	for name, versions := range c.versions {
		f, err := h.Catalog().Function(access.Operator, name)
		if _, gone := errors.AsType[*fault.NotFoundError](err); gone && name == c.open {
			delete(c.versions, name) // it was about to be removed
			delete(c.latest, name)
			continue
		}
		if err != nil {
			t.Errorf("round %d: %v", round, err)
			continue
		}
		listed, err := h.Catalog().Versions(access.Operator, name)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, v := range listed {
			found[v.ID] = true
			// Whole: the code is there and is what it was.
			if archive, err := h.Catalog().Archive(t.Context(), access.Operator, v.ID); err != nil || !strings.Contains(string(archive), "main.py") {
				t.Errorf("round %d: version %s: %v", round, v.ID, err)
			}
		}
		missing := 0
		for id, present := range versions {
			if present && !found[id] {
				missing++
			}
			if !present && found[id] {
				t.Errorf("round %d: version %s was deleted and is there", round, id)
			}
		}
		if missing > 1 || (missing == 1 && name != c.open) {
			t.Errorf("round %d: %s: %d acknowledged versions are lost", round, name, missing)
		}
		if latest := c.latest[name]; name != c.open && latest != "" && (f.Tags["prod"] != latest || f.Tags[catalog.LatestTag] != latest) {
			t.Errorf("round %d: %s: tags %v, acknowledged %s", round, name, f.Tags, latest)
		}
		// From here on, what is there is what must stay.
		for id := range found {
			versions[id] = true
		}
		for id := range versions {
			versions[id] = found[id]
		}
		delete(c.latest, name)
		if f.Latest != nil && f.Tags["prod"] == f.Latest.ID {
			c.latest[name] = f.Latest.ID
		}
	}
	roomtest.Until(t, "a record and an archive of each version, and no others", func() bool {
		versions, err := h.Catalog().Versions(access.Operator, "")
		if err != nil {
			t.Fatal(err)
		}
		records, err := s.Versions.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		codes, err := s.Code.Names(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(records) == len(versions) && len(codes) == len(versions)
	})
}
