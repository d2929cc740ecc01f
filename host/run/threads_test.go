package run

import (
	"runtime"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/roomtest"
)

// Each of these is a function that answers "ok" when threads do what they do on
// Linux.
var threadPrograms = map[string]string{
	"start and join": `
import threading
def handler(event, context):
    done = []
    threads = [threading.Thread(target=done.append, args=(n,)) for n in range(20)]
    for t in threads: t.start()
    for t in threads: t.join()
    if len({t.native_id for t in threads} | {threading.get_native_id()}) < 2: return "native_id"
    return "ok" if sorted(done) == list(range(20)) and threading.active_count() == 1 else [done, threading.enumerate()]
`,
	"queue": `
import queue, threading
def handler(event, context):
    todo, done = queue.Queue(maxsize=3), queue.Queue()
    def work():
        while (n := todo.get()) is not None: done.put(n * n)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for n in range(100): todo.put(n)
    for t in threads: todo.put(None)
    for t in threads: t.join()
    return "ok" if sorted(done.queue) == [n * n for n in range(100)] else list(done.queue)
`,
	"pools": `
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from multiprocessing.pool import ThreadPool
import time
def slow(n):
    time.sleep(0.2)
    return n
def handler(event, context):
    start = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        if list(pool.map(slow, range(10))) != list(range(10)): return "map"
        if sorted(f.result() for f in as_completed([pool.submit(slow, n) for n in range(10)])) != list(range(10)): return "submit"
    with ThreadPool(10) as pool:
        if pool.map(slow, range(10)) != list(range(10)): return "ThreadPool"
    took = time.monotonic() - start
    return "ok" if took < 3 else f"one after the other: {took}"
`,
	"locks": `
import threading, time
def handler(event, context):
    lock, again, n = threading.Lock(), threading.RLock(), 0
    def count():
        nonlocal n
        for _ in range(200):
            with again, again, lock:
                m = n
                if m % 50 == 0: time.sleep(0)
                n = m + 1
    threads = [threading.Thread(target=count) for _ in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    if n != 1600: return n
    lock.acquire()
    start = time.monotonic()
    if lock.acquire(timeout=0.1) or time.monotonic() - start < 0.09: return "timeout"
    threading.Timer(0.05, lock.release).start()
    return "ok" if lock.acquire(timeout=10) else "timer"
`,
	"conditions": `
import threading
def handler(event, context):
    barrier, condition, event_, semaphore = threading.Barrier(4), threading.Condition(), threading.Event(), threading.Semaphore(0)
    local, seen = threading.local(), []
    def work(n):
        local.n = n
        barrier.wait()
        event_.wait()
        with condition:
            seen.append(local.n)
            condition.notify()
        semaphore.release()
    for n in range(3): threading.Thread(target=work, args=(n,), daemon=True).start()
    barrier.wait()
    event_.set()
    with condition: condition.wait_for(lambda: len(seen) == 3)
    for _ in range(3): semaphore.acquire()
    return "ok" if sorted(seen) == [0, 1, 2] and not hasattr(local, "n") else seen
`,
	"a computing thread gives way": `
import threading, time
def handler(event, context):
    stop, turns = False, [0, 0, 0]
    def spin(n):
        while not stop: turns[n] += 1
    threads = [threading.Thread(target=spin, args=(n,)) for n in range(3)]
    for t in threads: t.start()
    time.sleep(0.3)
    stop = True
    for t in threads: t.join()
    return "ok" if min(turns) * 20 > max(turns) else turns
`,
	"asyncio": `
import asyncio, threading, time
async def handler(event, context):
    start, beside = time.monotonic(), 0
    async def tick():
        nonlocal beside
        while True:
            await asyncio.sleep(0.01)
            beside += 1
    ticking = asyncio.create_task(tick())
    if await asyncio.to_thread(lambda: (time.sleep(0.3), threading.current_thread() is threading.main_thread())[1]): return "to_thread"
    if await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.2) for _ in range(4))) != [None] * 4: return "gather"
    ticking.cancel()
    loop, got = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.05, lambda: loop.call_soon_threadsafe(got.set)).start()
    await got.wait() # nothing but the other thread ends this
    future = asyncio.run_coroutine_threadsafe
    answer = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, 7), loop).result(5))
    took = time.monotonic() - start
    return "ok" if answer == 7 and beside >= 5 and took < 5 else [answer, beside, took]
`,
	"recursion in a thread": `
import threading, json
def handler(event, context):
    found = []
    def deep(n): return deep(n + 1)
    def work(f):
        try: f()
        except RecursionError as e: found.append(str(e))
    nested = []
    for _ in range(100_000): nested = [nested]
    for f in (lambda: deep(0), lambda: repr(nested), lambda: json.dumps(nested)):
        t = threading.Thread(target=work, args=(f,))
        t.start()
        t.join()
    while nested: nested = nested.pop()
    return "ok" if len(found) == 3 else found
`,
	"a bound on their number": `
import threading
def handler(event, context):
    threading.stack_size(32 << 10)
    stop, threads = threading.Event(), []
    try:
        while len(threads) < 5000:
            t = threading.Thread(target=stop.wait)
            t.start()
            threads.append(t)
    except RuntimeError as e: error = str(e)
    stop.set()
    for t in threads: t.join()
    return "ok" if len(threads) == 1024 and "can't start new thread: an instance has at most 1,024" in error else [len(threads), error]
`,
	"the switch interval": `
import sys, threading, time
def handler(event, context):
    def run(patience):
        started, seen = [], []
        def spin(n):
            started.append(n)
            end = time.monotonic() + patience
            while len(started) < 2 and time.monotonic() < end: pass
            seen.append(len(started))
        threads = [threading.Thread(target=spin, args=(n,)) for n in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        return seen
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    got = run(0.05)
    sys.setswitchinterval(usual)
    got += run(30)
    return "ok" if got == [1, 2, 2, 2] else got
`,
	"where all threads stand": `
import faulthandler, threading
def waits(event): event.wait()
def handler(event, context):
    done = threading.Event()
    threads = [threading.Thread(target=waits, args=(done,)) for _ in range(3)]
    for t in threads: t.start()
    with open("/tmp/stacks", "w+") as f:
        faulthandler.dump_traceback(f, all_threads=True)
        f.seek(0)
        said = f.read()
    done.set()
    for t in threads: t.join()
    return "ok" if said.count("line 3 in waits") == 3 and said.count("hread 0x") == 4 and "line 9 in handler" in said else said
`,
	"TLS in threads": `
import threading, ssl, hashlib
def handler(event, context):
    errors = []
    def work():
        try:
            for _ in range(3):
                ssl.create_default_context()
                hashlib.sha256(b"x" * 100_000).hexdigest()
                try: ssl.MemoryBIO().write("no")
                except TypeError: pass
        except BaseException as e: errors.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    return "ok" if not errors else errors
`,
}

func TestThreads_DoWhatTheyDoOnLinux(t *testing.T) {
	for name, source := range threadPrograms {
		t.Run(name, func(t *testing.T) {
			h := newTestHost(t, testConfig{})
			h.deploy("f", source, catalog.VersionSpec{MemoryMB: 512, Timeout: time.Minute})
			for range 2 {
				h.want("f", "", `"ok"`)
			}
			if got := h.log("Traceback"); len(got) > 0 {
				t.Fatalf("the log has %q", got)
			}
		})
	}
}

// Threads stand still between calls, and go on in the next one.
func TestThreads_GoOnInTheNextCall(t *testing.T) {
	h := newTestHost(t, testConfig{})
	v := h.deploy("f", `
import threading, time
n, tick = 0, threading.Event()
def count():
    global n
    while True:
        tick.wait()
        tick.clear()
        n += 1
def handler(event, context):
    if event == "start":
        threading.Thread(target=count, daemon=True).start()
    elif event == "tick":
        tick.set()
    elif event == "look":
        time.sleep(0.05)
    return n
`, catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
	h.want("f", `"start"`, "0")
	if n := h.Stats().Threads; n != 1 {
		t.Errorf("there are %d threads, want 1", n)
	}
	for n := range 3 {
		_, _ = h.raw("f", `"tick"`)
		_, _ = h.raw("f", `"look"`)
		if got, err := h.raw("f", `"look"`); err != nil || got != string(rune('1'+n)) {
			t.Errorf("after %d ticks: %s, %v", n+1, got, err)
		}
	}
	h.Remove(v.ID) // with a thread that waits
}

// Whatever ends a call or an instance ends its threads.
func TestThreads_EndWithTheirInstance(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("f", `
import os, sys, threading, time
def spin():
    while True: pass
def handler(event, context):
    what, where = event.split()
    def end():
        time.sleep(0.1)
        if what == "exit": os._exit(3)
        if what == "abort": os.abort()
        if what == "spin": spin()
        if what == "lock":
            a = threading.Lock(); a.acquire(); a.acquire()
        if what == "sleep": time.sleep(3600)
    for _ in range(5): threading.Thread(target=time.sleep, args=(3600,)).start()
    threading.Thread(target=threading.Event().wait).start()
    if where == "main": end()
    t = threading.Thread(target=end)
    t.start()
    if where == "joined": t.join()
    if where == "beside": spin()
`, catalog.VersionSpec{Timeout: 2 * time.Second})
	h.wantFault("f", "lock main", "ExecutionTimeout")
	before := runtime.NumGoroutine()
	for _, where := range []string{"main", "joined", "beside"} {
		for what, want := range map[string]string{
			"exit": "RuntimeExit", "abort": "RuntimeExit", "spin": "ExecutionTimeout", "lock": "ExecutionTimeout", "sleep": "ExecutionTimeout",
		} {
			h.wantFault("f", what+" "+where, want)
		}
	}
	h.reclaim()
	roomtest.Until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// A thread that raises is reported in the log of the call in which it did.
func TestThreads_AnExceptionIsLogged(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("f", `
import threading
def fails(): raise KeyError("in a thread")
def handler(event, context):
    t = threading.Thread(target=fails, name="worker")
    t.start()
    t.join()
    return "ok"
`, catalog.VersionSpec{})
	h.want("f", "", `"ok"`)
	if got := h.log("Exception in thread worker"); len(got) != 1 {
		t.Errorf("the log says %q", got)
	}
}

// A module that leaves a thread is in no image: each instance has a thread of its own.
func TestThreads_OfAnImport(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("f", `
import queue, threading
todo, done = queue.Queue(), queue.Queue()
def work():
    while True: done.put(todo.get() + 1)
threading.Thread(target=work, daemon=True).start()
def handler(event, context):
    todo.put(event)
    return done.get()
`, catalog.VersionSpec{MaxInstances: 2})
	for range 3 {
		h.want("f", "41", "42")
	}
	roomtest.Until(t, "the left thread is logged", func() bool { return len(h.log("it left a thread running")) == 1 })
}
