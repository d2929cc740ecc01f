package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// How lastwords.wat lets its time pass, and what its last words do then.
const (
	passSpinning = iota
	passSleeping
	passWaiting
	passInThread = 10 // and more

	wordsLast    = 9  // the last kind of words that mean harm
	wordsNothing = 10 // all is said
)

func newLastWords(t *testing.T) func(how, words uint32) (*Instance, string) {
	e := newTestEngine(t, "lastwords.wasm", nil)
	image, err := e.Boot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = image.Close() })
	return func(how, words uint32) (*Instance, string) {
		i, err := e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: 2 << 20})
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		_, err = i.Invoke(t.Context(), Call{
			Stdin:  binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, how), words),
			Stderr: &said, Turn: &turns{t: t}, Deadline: time.Now().Add(10 * time.Millisecond),
		})
		if !errors.Is(err, ErrDeadline) {
			t.Errorf("time passes %d, words %d: %v, want %v", how, words, err, ErrDeadline)
		}
		return i, said.String()
	}
}

// A guest whose time is up says once where it stands, and whether it waits for itself.
func TestLastWords_AreSaidWhenTheTimeIsUp(t *testing.T) {
	invoke := newLastWords(t)
	for how, want := range map[uint32]string{
		passSpinning: "here 0\n", passSleeping: "here 0\n", passWaiting: "here 1\n",
		passInThread + passSpinning: "here 0\n", passInThread + passSleeping: "here 0\n", passInThread + passWaiting: "here 1\n",
	} {
		i, said := invoke(how, wordsNothing)
		if said != want {
			t.Errorf("time passes %d: said %q, want %q", how, said, want)
		}
		i.Close()
	}
}

// Whatever the last words do, the call ends as it would without them.
func TestLastWords_EndWithTheCall(t *testing.T) {
	invoke := newLastWords(t)
	before := runtime.NumGoroutine()
	for _, how := range []uint32{passSpinning, passSleeping, passWaiting, passInThread + passSpinning, passInThread + passWaiting} {
		for words := range uint32(wordsLast + 1) {
			t.Run(fmt.Sprint(how, words), func(t *testing.T) {
				i, said := invoke(how, words)
				if !strings.HasPrefix(said, "here ") {
					t.Errorf("said %q", said)
				}
				if i.Usable() {
					t.Error("the instance takes further calls")
				}
				i.Close()
			})
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
