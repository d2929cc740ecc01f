// Package roomtest has what the tests of the host's rooms have in common: the rules for
// operations, which every room's keep to, and waiting.
package roomtest

import (
	"testing"
	"time"
)

// patience is how long Until waits: longer than anything takes on a slow machine.
const patience = 2 * time.Minute

// Until waits until something holds. It fails the test, which learns what has not come
// to hold, when that takes too long.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
