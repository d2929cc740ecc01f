package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// times notes when a handler was called.
type times struct {
	started time.Time

	mu sync.Mutex // guards at
	at []time.Duration
}

// all returns the times of the calls so far, from when the handler was made.
func (c *times) all() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at)
}

func (c *times) handler(answer func(inv run.Invocation) ([]byte, error)) handler {
	c.started = time.Now()
	return func(_ context.Context, inv run.Invocation) ([]byte, error) {
		c.mu.Lock()
		c.at = append(c.at, time.Since(c.started))
		c.mu.Unlock()
		return answer(inv)
	}
}

// pauses returns the times between one call and the next, in seconds. What takes less
// than half of one does not show.
func (c *times) pauses() (seconds []int) {
	at := c.all()
	for i := 1; i < len(at); i++ {
		seconds = append(seconds, int((at[i]-at[i-1]).Round(time.Second)/time.Second))
	}
	return seconds
}

func wantPauses(t testing.TB, c *times, want ...int) {
	t.Helper()
	got, _ := json.Marshal(c.pauses())
	if wanted, _ := json.Marshal(want); string(got) != string(wanted) {
		t.Errorf("pauses of %s seconds, want %s", got, wanted)
	}
}

func TestWorker_OutcomesGoToTheirTargets(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var well, badly calls
		e.function("well", catalog.AsyncConfig{}, well.handler(echo))
		e.function("badly", catalog.AsyncConfig{}, badly.handler(echo))
		f := e.function("fun", catalog.AsyncConfig{Retries: 1, Success: "well", Failure: "badly"},
			func(_ context.Context, inv run.Invocation) ([]byte, error) {
				switch {
				case string(inv.Body) == "good":
					return []byte("fine"), nil
				case string(inv.Body) == "odd": // a document that a guest has broken
					return nil, &fault.FunctionError{Document: []byte("{")}
				}
				return failing(inv)
			})
		e.start()
		e.queue("fun", "good")
		e.emptied()
		wantList(t, "successes", well.all(), "fine")
		v, err := e.VersionByTag(access.Operator, "fun", "")
		if err != nil {
			t.Fatal(err)
		}
		for body, want := range map[string]string{
			"text":                                `"error":{"errorMessage":"no\nway","errorType":"ValueError"},"body":"text"}`,
			"\xff":                                `"error":{"errorMessage":"no\nway","errorType":"ValueError"},"body_base64":"/w=="}`,
			"":                                    `"error":{"errorMessage":"no\nway","errorType":"ValueError"}}`,
			strings.Repeat("x", 1+maxFailureBody): `"error":{"errorMessage":"no\nway","errorType":"ValueError"},"body_omitted":true}`,
			"odd":                                 `"error":"{","body":"odd"}`,
		} {
			request := e.queue("fun", body)
			e.emptied()
			want = `{"request_id":"` + request + `","function_id":"` + f.ID + `","version_id":"` + v.ID + `","attempts":2,` + want
			if all := badly.all(); all[len(all)-1] != want {
				t.Errorf("the target of failures got %.300s, want %s", all[len(all)-1], want)
			}
		}
		wantList(t, "successes", well.all(), "fine")
		if letters := e.deadLetters(access.Operator); len(letters) != 0 {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

func TestWorker_RetriesWaitTwiceAsLongEachTime(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c times
		e.function("fun", catalog.AsyncConfig{Retries: 10}, c.handler(failing))
		e.start()
		e.queue("fun", "")
		time.Sleep(time.Hour)
		wantPauses(t, &c, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300)
		letters := e.deadLetters(access.Operator)
		if len(letters) != 1 || letters[0].Attempts != 11 || !strings.Contains(letters[0].Error, `"ValueError"`) {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

// An item comes again at once when the clock was put back since.
// A timer's own number of retries and their interval count more than the version's.
func TestWorker_TimersRetryAsTheySay(t *testing.T) {
	for retry, want := range map[Retry][]int{
		{}: {1, 2, 4},
		{Attempts: 2, Interval: 10 * time.Second}: {10, 10},
	} {
		bubble(t, func(t *testing.T, e *testEvents) {
			var c times
			e.function("fun", catalog.AsyncConfig{Retries: 3}, c.handler(failing))
			e.start()
			spec := TimerSpec{Name: "tick", Function: "fun", Cron: time.Now().UTC().Add(2 * time.Minute).Format("4 15 2 1 *"), Retry: retry}
			if _, err := e.CreateTimer(t.Context(), access.Operator, spec); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			e.emptied()
			wantPauses(t, &c, want...)
		})
	}
}

func TestWorker_ATimeFarAwayIsNoTimeToWaitFor(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c calls
		f := e.function("fun", catalog.AsyncConfig{}, c.handler(echo))
		e.start()
		item := e.item(f.ID, "1")
		item.Notes[noteAfter] = "99999999999999"
		if err := e.enqueue(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lineInterval)
		wantList(t, "calls", c.all(), "1")
	})
}

// What is neither the function's fault nor the call's is no attempt.
func TestWorker_WaitsForWhatPasses(t *testing.T) {
	for _, passing := range []error{
		fault.ErrBusy, fault.ErrExhausted, fault.ErrCancelled, fault.ErrClosed, fault.ErrUnavailable, fault.ErrPreparing,
	} {
		bubble(t, func(t *testing.T, e *testEvents) {
			var c times
			e.function("fun", catalog.AsyncConfig{}, c.handler(func(inv run.Invocation) ([]byte, error) {
				if len(c.all()) < 40 {
					return nil, passing
				}
				return failing(inv)
			}))
			e.start()
			e.queue("fun", "")
			e.emptied()
			if took := c.all()[39] - c.all()[0]; took < 39*busyRetry || took > 50*busyRetry {
				t.Errorf("%v: 40 calls took %v", passing, took)
			}
			if letters := e.deadLetters(access.Operator); len(letters) != 1 || letters[0].Attempts != 1 {
				t.Errorf("%v: dead letters: %+v", passing, letters)
			}
		})
	}
}

// A fault of the platform's is none of its words to who reads dead letters.
func TestWorker_FaultsOfThePlatformStayInTheLog(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.function("fun", catalog.AsyncConfig{}, func(context.Context, run.Invocation) ([]byte, error) {
			return nil, errors.New("secret: /var/lib")
		})
		e.start()
		e.queue("fun", "")
		e.emptied()
		letters := e.deadLetters(access.Operator)
		if len(letters) != 1 || letters[0].Error != `{"errorMessage":"Internal error","errorType":"PlatformError"}` {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

// A long error is cut, so that it fits into a note.
func TestWorker_ErrorsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.function("fun", catalog.AsyncConfig{}, func(context.Context, run.Invocation) ([]byte, error) {
			return nil, &fault.FunctionError{Type: "E", Document: bytes.Repeat([]byte("x\n"), 100<<10)}
		})
		e.start()
		e.queue("fun", "")
		e.emptied()
		if letters := e.deadLetters(access.Operator); len(letters) != 1 || len(letters[0].Error) != 8<<10 {
			t.Errorf("%d dead letters, the first error of %d bytes", len(letters), len(letters[0].Error))
		}
	})
}

func TestWorker_CirclesEnd(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c calls
		e.function("fun", catalog.AsyncConfig{Success: "fun"}, c.handler(echo))
		e.start()
		e.queue("fun", "1")
		e.emptied()
		if n := len(c.all()); n != maxChain+1 {
			t.Errorf("%d calls, want %d", n, maxChain+1)
		}
		if letters := e.deadLetters(access.Operator); len(letters) != 1 || !strings.Contains(letters[0].Error, "circle") {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

func TestWorker_ATargetThatIsGoneLeavesADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		target := e.function("target", catalog.AsyncConfig{}, nil)
		f := e.function("fun", catalog.AsyncConfig{Success: "target"}, func(context.Context, run.Invocation) ([]byte, error) {
			return []byte("outcome"), nil
		})
		if err := e.DeleteFunction(t.Context(), access.Operator, target.ID); err != nil {
			t.Fatal(err)
		}
		e.start()
		request := e.queue("fun", "1")
		e.emptied()
		letters := e.deadLetters(access.Operator)
		if len(letters) != 1 || letters[0].FunctionID != f.ID || string(letters[0].Body) != "outcome" ||
			letters[0].RequestID != request || !strings.Contains(letters[0].Error, "target not found") {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

func TestWorker_ReplayedCallsThatFailAgainAreKeptAgain(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c times
		e.function("fun", catalog.AsyncConfig{Retries: 1}, c.handler(failing))
		e.start()
		e.queue("fun", "1")
		for range 2 {
			e.emptied()
			letters := e.deadLetters(access.Operator)
			if len(letters) != 1 || letters[0].Attempts != 2 {
				t.Fatalf("dead letters: %+v", letters)
			}
			if _, err := e.ReplayDeadLetter(t.Context(), access.Operator, letters[0].ID); err != nil {
				t.Fatal(err)
			}
			_, err := e.ReplayDeadLetter(t.Context(), access.Operator, letters[0].ID)
			wantError[*fault.NotFoundError](t, err, "dead letter")
		}
		e.emptied()
		if len(c.all()) != 6 {
			t.Errorf("%d calls, want 3 times 2", len(c.all()))
		}
	})
}

// A call in progress that Close cancels stays in the queue and has cost no attempt.
func TestClose_KeepsCallsInProgress(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		began := make(chan struct{})
		e.function("fun", catalog.AsyncConfig{}, func(ctx context.Context, _ run.Invocation) ([]byte, error) {
			close(began)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		e.start()
		request := e.queue("fun", "1")
		<-began
		e.Close()
		e.Close() // which is idempotent
		_, err := e.Events.Invoke(t.Context(), access.Operator, run.Invocation{Function: "fun"})
		if !errors.Is(err, fault.ErrClosed) {
			t.Errorf("a call after Close: got %v", err)
		}

		next := open(t, e.store)
		f, err := next.Function(access.Operator, "fun")
		if err != nil {
			t.Fatal(err)
		}
		next.handle(f.ID, func(_ context.Context, inv run.Invocation) ([]byte, error) {
			if inv.RequestID != request {
				t.Errorf("request %s, want %s", inv.RequestID, request)
			}
			return failing(inv)
		})
		next.start()
		next.emptied()
		if letters := next.deadLetters(access.Operator); len(letters) != 1 || letters[0].Attempts != 1 {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}

// The store hands an item out again, to another process, when it hears nothing: a long
// call must be heard of.
func TestWorker_LongCallsAreMadeOnce(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.store.Exclusive = false
		other := open(t, e.store)
		var n atomic.Int64
		sleep := func(context.Context, run.Invocation) ([]byte, error) {
			n.Add(1)
			time.Sleep(time.Hour)
			return nil, nil
		}
		f := e.function("fun", catalog.AsyncConfig{}, sleep)
		other.handle(f.ID, sleep)
		e.start()
		other.start()
		e.queue("fun", "1")
		time.Sleep(2 * time.Hour)
		if n.Load() != 1 {
			t.Errorf("%d calls, want 1", n.Load())
		}
	})
}

// With other processes on the store, a call waits until its function is known here as
// who queued it knew it: the change may have been the reason for the call.
func TestWorker_WaitsForNewsOfTheFunction(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.store.Exclusive = false
		var c times
		f := e.function("fun", catalog.AsyncConfig{}, c.handler(echo))
		item := e.item(f.ID, "1")
		if err := e.enqueue(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		item = e.item(f.ID, "2")
		item.Notes[noteNews] = "1000000" // long after
		if err := e.store.Queue.Add(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		e.start()
		time.Sleep(time.Hour)
		if n, err := e.store.Queue.Len(t.Context()); len(c.all()) != 1 || n != 1 || err != nil {
			t.Errorf("%d calls and %d items are left, %v; want 1 and 1", len(c.all()), n, err)
		}
	})
}

// A function that is in no store may be one that this process has not heard of yet. Its
// calls are kept for a while, and then as dead letters.
func TestWorker_WaitsForAFunctionToBecomeKnown(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.store.Exclusive = false
		e.start()
		if err := e.enqueue(t.Context(), e.item("d4eunknown", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(newsPatience - time.Second)
		if letters := e.deadLetters(access.Operator); len(letters) != 0 {
			t.Errorf("too early: %+v", letters)
		}
		time.Sleep(2 * time.Second)
		if letters := e.deadLetters(access.Operator); len(letters) != 1 {
			t.Errorf("dead letters: %+v", letters)
		}
	})
}
