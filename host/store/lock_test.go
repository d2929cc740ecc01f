package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockDir_IsForOneAtATime(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "lock"), []byte("123456789012345678901234567890 of an earlier process"), 0o600))
	first, err := lockDir(dir)
	check(t, err)
	for range 2 {
		if _, err := lockDir(dir); err == nil {
			t.Fatal("locked twice")
		} else if locked, ok := errors.AsType[*LockedError](err); !ok || locked.Dir != dir || locked.PID != os.Getpid() {
			t.Errorf("got %v", err)
		}
	}
	// Who has it may be known or not.
	for text, pid := range map[string]int{"": 0, "nobody\n": 0, " 77 \n": 77, strings.Repeat("9", 30): 0} {
		check(t, os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o600))
		_, err := lockDir(dir)
		if locked, ok := errors.AsType[*LockedError](err); !ok || locked.PID != pid {
			t.Errorf("%q: got %v, want process %d", text, err, pid)
		}
	}
	check(t, first.Close())
	again, err := lockDir(dir)
	check(t, err, again.Close())
	if _, err := lockDir(filepath.Join(dir, "missing")); err == nil || !strings.Contains(err.Error(), "store: lock: ") {
		t.Errorf("no directory: %v", err)
	}
}

func TestLockedError_SaysWho(t *testing.T) {
	for pid, want := range map[int]string{0: "another process", 12: "process 12"} {
		if got := (&LockedError{Dir: "/data", PID: pid}).Error(); !strings.Contains(got, "/data is in use by "+want+"; stop that one") {
			t.Error(got)
		}
	}
}
