package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"vivarium/wasm/vfs"
)

const maxBuffers = 1024 // per call, as on Linux

// countingTurn never makes anyone wait and counts how often it was asked.
type countingTurn struct{ yields, leaves int }

func (t *countingTurn) Enter(context.Context, time.Time) error { return nil }

func (t *countingTurn) Yield(context.Context, time.Time, time.Duration) error {
	t.yields++
	return nil
}

func (t *countingTurn) Leave(time.Duration) { t.leaves++ }

// longCall is one host call on a thousand identical buffers. Its argument 1
// becomes the address of the list of buffers.
func longCall(before []byte, name string, size uint32, arguments ...int64) []byte {
	const requestAt = 512 << 10
	arguments[1] = int64(requestAt + len(before) + 40)
	request := append(slices.Clone(before), hostCall(name, arguments...)...)
	for range maxBuffers { // decoded by the guest as unknown calls
		request = binary.LittleEndian.AppendUint32(request, 255)
		request = binary.LittleEndian.AppendUint32(request, size)
	}
	request = append(request, bytes.Repeat([]byte{255}, 39-(len(request)+39)%40)...)
	return append(request, "tmp/a"...)
}

// spin computes for d.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// slowOutput accepts part of each write, slowly.
type slowOutput struct{}

// Write implements io.Writer.
func (slowOutput) Write(p []byte) (int, error) {
	spin(10 * time.Microsecond)
	if len(p) > 40<<10 {
		return 40 << 10, io.ErrShortWrite
	}
	return len(p), nil
}

// workingOutput takes long over each write, and reports it.
type workingOutput struct{ inside *bool }

// Write implements io.Writer.
func (workingOutput) Write([]byte) (int, error) { panic("WriteWork is there") }

// WriteWork implements WorkingWriter.
func (o workingOutput) WriteWork(p []byte, work Work) (int, error) {
	*o.inside = true
	for range 10 {
		spin(lookInterval * 3 / 2)
		work(portion)
	}
	*o.inside = false
	return len(p), nil
}

// lingeringTurn counts yields in the middle of a write.
type lingeringTurn struct {
	countingTurn
	inside  bool
	yielded int
}

// Yield implements Turn.
func (s *lingeringTurn) Yield(ctx context.Context, deadline time.Time, used time.Duration) error {
	if s.inside {
		s.yielded++
	}
	return s.countingTurn.Yield(ctx, deadline, used)
}

// A single write of which the host makes much gives way in the middle, and the call
// ends at the deadline once the write has come to its end.
func TestHostCalls_WorkingWritersGiveWay(t *testing.T) {
	c := newCallers(t)
	call := func(deadline time.Time) (*lingeringTurn, error) {
		turn := &lingeringTurn{}
		_, err := cloneOf(t, c.engine, c.image, 4<<20).Invoke(t.Context(), Call{
			Stdin: longCall(nil, "fd_write", 128, 1, 0, 20, 8), Stdout: workingOutput{&turn.inside}, Turn: turn, Deadline: deadline,
		})
		if turn.inside {
			t.Error("the call ended in the middle of a write")
		}
		return turn, err
	}
	if turn, err := call(time.Time{}); err != nil || turn.yielded < 200 {
		t.Errorf("got %d yields in 20 writes, %v, want 10 each", turn.yielded, err)
	}
	if _, err := call(time.Now().Add(5 * time.Millisecond)); !errors.Is(err, ErrDeadline) {
		t.Errorf("got %v, want %v", err, ErrDeadline)
	}
}

// A long host call yields like a long loop, and ends at the deadline in the
// middle.
func TestHostCalls_LongOnesGiveWay(t *testing.T) {
	c := newCallers(t)
	open := hostCall("path_open", 3, 0, 0, 5, 1, -1, -1, 0, 64) // descriptor 4
	filled := slices.Concat(open, hostCall("fd_allocate", 4, 0, 1<<30))
	for name, request := range map[string][]byte{
		"writing to the log":        longCall(nil, "fd_write", 128<<10, 1, 0, maxBuffers, 8),
		"writing to a file":         longCall(open, "fd_write", 128<<10, 4, 0, maxBuffers, 8),
		"writing somewhere":         longCall(open, "fd_pwrite", 128<<10, 4, 0, maxBuffers, 0, 8),
		"reading a file":            longCall(filled, "fd_read", 512<<10, 4, 0, maxBuffers, 8),
		"reading somewhere":         longCall(filled, "fd_pread", 512<<10, 4, 0, maxBuffers, 0, 8),
		"randomness":                slices.Repeat(hostCall("random_get", 0, 512<<10), 100),
		"handing over the response": slices.Repeat(hostCall("vivarium.respond", 0, 0, 1<<20), 400),
	} {
		t.Run(name, func(t *testing.T) {
			call := func(deadline time.Time) (*countingTurn, error) {
				i, err := c.engine.Clone(t.Context(), c.image, InstanceConfig{
					MemoryLimit: 4 << 20, Code: c.code, Tmp: vfs.NewMem(vfs.MemConfig{MaxBytes: 2 << 30}),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer i.Close()
				turn := &countingTurn{}
				_, err = i.Invoke(t.Context(), Call{Stdin: request, Stdout: slowOutput{}, Turn: turn, Deadline: deadline})
				return turn, err
			}
			if turn, err := call(time.Time{}); err != nil || turn.yields < 5 {
				t.Errorf("got %d yields, %v, want several", turn.yields, err)
			}
			if _, err := call(time.Now().Add(2 * time.Millisecond)); !errors.Is(err, ErrDeadline) {
				t.Errorf("got %v, want %v", err, ErrDeadline)
			}
		})
	}
}

// Calls that are short are work as well, or a loop of them would be longer than
// other loops are.
func TestHostCalls_ShortOnesAreWork(t *testing.T) {
	c := newCallers(t)
	i := cloneOf(t, c.engine, c.image, 4<<20)
	for name, call := range map[string]func(){
		"clock_time_get": func() { clockTimeGet(i.base, i.module, []uint64{0, 0, 8}) },
		"clock_res_get":  func() { clockResGet(i.base, i.module, []uint64{0, 8}) },
	} {
		before := i.work
		if call(); i.work != before+clockWork {
			t.Errorf("%s counts for %d, want %d", name, i.work-before, clockWork)
		}
	}
}

// Sleeps that are shorter than the turn takes to be handed over keep it, and are work.
func TestInstance_ShortSleepsKeepTheTurn(t *testing.T) {
	c := newCallers(t)
	i, turn := cloneOf(t, c.engine, c.image, 4<<20), &countingTurn{}
	i.meter.begin(t.Context(), turn, time.Time{})
	if err := i.enter(); err != nil {
		t.Fatal(err)
	}
	defer i.leave()
	spin(lookInterval * 3 / 2)
	if i.sleep(handOver); turn.leaves != 0 || turn.yields != 1 {
		t.Errorf("a short sleep leaves the turn %d times, and yields %d times", turn.leaves, turn.yields)
	}
	if i.sleep(handOver + 1); turn.leaves != 1 {
		t.Errorf("a long sleep leaves the turn %d times", turn.leaves)
	}
}

// What would keep wazero itself busy for long is refused: a list of empty
// buffers.
func TestHostCalls_ListsHaveAnEnd(t *testing.T) {
	c := newCallers(t)
	for count, want := range map[int64]int{maxBuffers: maxBuffers << 17, maxBuffers + 1: 0, math.MaxUint32: 0, 1 << 29: 0} {
		written := 0
		i := cloneOf(t, c.engine, c.image, 4<<20)
		_, err := i.Invoke(t.Context(), Call{
			Stdin:  longCall(nil, "fd_write", 128<<10, 1, 0, count, 8),
			Stdout: writerFunc(func(p []byte) { written += len(p) }),
		})
		if err != nil || written != want {
			t.Errorf("%d buffers: got %d bytes, %v, want %d", count, written, err, want)
		}
	}
}

// writerFunc is a func as an io.Writer.
type writerFunc func(p []byte)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// What a caller computes around the guest's call is part of its turn.
func TestInstance_WorkAroundTheGuestGivesWay(t *testing.T) {
	c := newCallers(t)
	busy := func(work Work) {
		for range 200 {
			spin(lookInterval * 3 / 2)
			work(portion)
		}
	}
	call := func(deadline time.Time) (turn *countingTurn, settled, err error) {
		turn, settled = &countingTurn{}, io.EOF
		i := cloneOf(t, c.engine, c.image, 4<<20)
		_, err = i.Invoke(t.Context(), Call{
			Turn: turn, Deadline: deadline,
			Prepare: func(work Work) []byte { busy(work); return nil },
			Finish:  func(r *Response, err error, work Work) { busy(work); settled = err },
		})
		return turn, settled, err
	}
	if turn, settled, err := call(time.Time{}); err != nil || settled != nil || turn.yields < 390 {
		t.Errorf("got %d yields, %v, %v, want at least 390", turn.yields, settled, err)
	}
	if _, settled, err := call(time.Now().Add(5 * time.Millisecond)); !errors.Is(err, ErrDeadline) || !errors.Is(settled, ErrDeadline) {
		t.Errorf("a deadline before the guest: got %v, settled %v", err, settled)
	}
	if _, settled, err := call(time.Now().Add(45 * time.Millisecond)); !errors.Is(err, ErrDeadline) {
		t.Errorf("a deadline after the guest: got %v, settled %v", err, settled)
	}
}
