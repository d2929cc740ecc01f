"""The event loop: what asyncio offers on a platform without socket pairs."""

import textwrap
import unittest

from guest import call, fail, http, run


class AsyncHandler(unittest.TestCase):
    def test_sleeps_and_returns(self):
        code = """
        import asyncio, time
        async def handler(event, context):
            begin = time.monotonic()
            await asyncio.sleep(0.05)
            return time.monotonic() - begin
        """
        self.assertGreaterEqual(call(code), 0.045)

    def test_runs_things_side_by_side(self):
        code = """
        import asyncio, time
        async def nap(n):
            await asyncio.sleep(0.1)
            return n
        async def handler(event, context):
            begin = time.monotonic()
            got = await asyncio.gather(*(nap(n) for n in range(20)))
            return [got, time.monotonic() - begin]
        """
        got, seconds = call(code)
        self.assertEqual(got, list(range(20)))
        self.assertLess(seconds, 0.5)

    def test_own_timeouts_work(self):
        code = """
        import asyncio
        async def handler(event, context):
            got = []
            try:
                async with asyncio.timeout(0.02):
                    await asyncio.Event().wait()
            except TimeoutError:
                got.append("timeout")
            try:
                await asyncio.wait_for(asyncio.sleep(9), 0.02)
            except asyncio.TimeoutError:
                got.append("wait_for")
            task = asyncio.current_task()
            asyncio.get_running_loop().call_later(0.02, task.cancel)
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                got.append("cancelled")
            return got
        """
        self.assertEqual(call(code), ["timeout", "wait_for", "cancelled"])

    def test_loops_with_a_selector_of_the_function_s_wake_up(self):
        code = """
        import asyncio, selectors, threading
        def talk(loop):
            event = asyncio.Event()
            threading.Timer(0.05, loop.call_soon_threadsafe, (event.set,)).start()
            loop.run_until_complete(asyncio.wait_for(event.wait(), 5))
            got = loop.run_until_complete(loop.run_in_executor(None, int, "7"))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            return got
        def handler(event, context):
            return [
                talk(asyncio.SelectorEventLoop(selectors.SelectSelector())),
                talk(asyncio.SelectorEventLoop(selectors.PollSelector())),
                talk(asyncio.SelectorEventLoop()),
            ]
        """
        self.assertEqual(call(code), [7, 7, 7])

    def test_thread_helpers_run_beside_the_loop(self):
        code = """
        import asyncio, contextvars, threading
        from concurrent.futures import ThreadPoolExecutor
        var = contextvars.ContextVar("var")
        async def handler(event, context):
            loop = asyncio.get_running_loop()
            var.set("seen")
            got = [
                await asyncio.to_thread(var.get),
                await loop.run_in_executor(None, pow, 2, 3),
                await loop.run_in_executor(ThreadPoolExecutor(), pow, 2, 4),
            ]
            def fail(): raise KeyError("k")
            try:
                await asyncio.to_thread(fail)
            except BaseException as caught:
                got.append(type(caught).__name__)
            woken = asyncio.Event()
            threading.Timer(0.05, loop.call_soon_threadsafe, (woken.set,)).start()
            await woken.wait()  # for nothing but the other thread
            got.append(await asyncio.to_thread(
                lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, "there"), loop).result()
            ))
            return got
        """
        want = ["seen", 8, 16, "KeyError", "there"]
        self.assertEqual(call(code), want)

    def test_finds_itself_in_a_running_task_and_loop(self):
        code = """
        import asyncio, contextvars
        var = contextvars.ContextVar("var", default=0)
        async def handler(event, context):
            loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            var.set(var.get() + 1)
            try:
                asyncio.run(asyncio.sleep(0))
            except RuntimeError as error:
                nested = str(error)
            return [
                loop.is_running(), asyncio.get_event_loop() is loop,
                task in asyncio.all_tasks(), var.get(), nested,
            ]
        """
        nested = "asyncio.run() cannot be called from a running event loop"
        done = run(code, http(), http())
        for answer in done.answers:
            self.assertEqual(answer.result(), [True, True, True, 1, nested])

    def test_async_generators_and_queues(self):
        code = """
        import asyncio
        async def numbers():
            for n in range(3):
                await asyncio.sleep(0)
                yield n
        async def handler(event, context):
            queue = asyncio.Queue(1)
            async def feed():
                async for n in numbers():
                    await queue.put(n)
                await queue.put(None)
            feeding = asyncio.create_task(feed())
            got = []
            while (n := await queue.get()) is not None:
                got.append(n)
            await feeding
            return got
        """
        self.assertEqual(call(code), [0, 1, 2])

    def test_stopping_the_loop_is_an_error_of_that_call_only(self):
        code = """
        import asyncio
        async def handler(event, context):
            if event.get("stop"):
                asyncio.get_running_loop().stop()
                await asyncio.sleep(1)
            return "fine"
        """
        done = run(code, http({"stop": 1}), http())
        self.assertEqual(done.answers[0].error()["errorType"], "RuntimeError")
        self.assertEqual(done.answers[1].result(), "fine")

    def test_signals_and_servers_fail_as_exceptions(self):
        code = """
        import asyncio, signal
        async def handler(event, context):
            try:
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
            except NotImplementedError as error:
                return str(error)
        """
        self.assertEqual(call(code), "signals are not delivered on this platform")


class Tasks(unittest.TestCase):
    def test_left_behind_stand_still_and_go_on_in_the_next_call(self):
        code = """
        import asyncio
        steps, tasks = [], []
        async def background():
            for n in range(100):
                steps.append(n)
                await asyncio.sleep(0.02)
        async def handler(event, context):
            if not tasks:
                tasks.append(asyncio.create_task(background()))
                await asyncio.sleep(0)
            await asyncio.sleep(event.get("nap", 0))
            return len(steps)
        """
        done = run(code, http(), http({"nap": 0.09}), http())
        first, second, third = (a.result() for a in done.answers)
        self.assertEqual(first, 1)
        self.assertGreaterEqual(second, 3)
        self.assertLessEqual(third - second, 1)

    def test_that_is_started_and_not_awaited_makes_its_first_step(self):
        code = """
        import asyncio
        steps = []
        async def background():
            steps.append(1)
            await asyncio.sleep(0)
            steps.append(2)
        async def handler(event, context):
            if not steps:
                asyncio.get_running_loop().task = asyncio.create_task(background())
            return len(steps)
        """
        # As on the stock loop: the task's first step comes after the handler's
        # return, its second before the handler of the next call.
        done = run(code, http(), http())
        self.assertEqual([a.result() for a in done.answers], [0, 2])

    def test_left_behind_by_a_sync_handler_go_on_too(self):
        code = """
        import asyncio
        got = []
        async def background():
            await asyncio.sleep(0)
            got.append("done")
        tasks = []
        def handler(event, context):
            loop = asyncio.get_event_loop()
            if not tasks:
                tasks.append(loop.create_task(background()))
            else:
                loop.run_until_complete(tasks[0])
            return got
        """
        done = run(code, http(), http())
        self.assertEqual([a.result() for a in done.answers], [[], ["done"]])

    def test_failing_unnoticed_is_logged_with_the_traceback(self):
        code = """
        import asyncio, gc
        async def background(): raise KeyError("lyrics")
        async def handler(event, context):
            asyncio.create_task(background())
            await asyncio.sleep(0.01)
            gc.collect()
        """
        done = run(code, http())
        done.answer.result()
        self.assertIn("[ERROR]\t", done.stdout)
        self.assertIn("KeyError: 'lyrics'", done.stdout)
        self.assertEqual(done.stdout.count("\n"), 1)


WORK = """
import asyncio
async def work():
    await asyncio.sleep(0.001)
    return "ok"
"""


class SyncHandler(unittest.TestCase):
    """Ways in which sync handlers run coroutines; users have them all."""

    def works(self, code, want=("ok", "ok", "ok")):
        done = run(WORK + textwrap.dedent(code), http(), http(), http())
        self.assertEqual([a.result() for a in done.answers], list(want))

    def test_sees_no_running_loop(self):
        code = """
        import asyncio
        def handler(event, context): asyncio.get_running_loop()
        """
        self.assertEqual(fail(code)["errorMessage"], "no running event loop")

    def test_that_leaves_a_loop_running_is_followed_by_one_that_can_await(self):
        for leave in (
            "asyncio.events._set_running_loop(asyncio.new_event_loop())",
            # Half of run_forever, which Python 3.13 has in halves.
            "getattr(asyncio.get_event_loop(), '_run_forever_setup', int)()",
        ):
            self.works(
                f"""
                calls = []
                def handler(event, context):
                    calls.append(1)
                    if len(calls) == 2:
                        return asyncio.run(work())
                    if len(calls) == 3:
                        return work()
                    {leave}
                    return "ok"
                """
            )

    def test_asyncio_run(self):
        self.works("def handler(event, context): return asyncio.run(work())")

    def test_runner(self):
        self.works(
            """
            def handler(event, context):
                with asyncio.Runner() as runner:
                    return runner.run(work())
            """
        )

    def test_get_event_loop(self):
        self.works(
            """
            def handler(event, context):
                return asyncio.get_event_loop().run_until_complete(work())
            """
        )

    def test_get_event_loop_and_close(self):
        self.works(
            """
            def handler(event, context):
                loop = asyncio.get_event_loop()
                try:
                    return loop.run_until_complete(work())
                finally:
                    loop.close()
            """
        )

    def test_get_event_loop_after_asyncio_run(self):
        self.works(
            """
            def handler(event, context):
                asyncio.run(work())
                return asyncio.get_event_loop().run_until_complete(work())
            """
        )

    def test_new_event_loop_each_time(self):
        self.works(
            """
            def handler(event, context):
                loop = asyncio.new_event_loop()
                asyncio.set_event_loop(loop)
                try:
                    return loop.run_until_complete(work())
                finally:
                    loop.close()
            """
        )

    def test_loop_of_the_module(self):
        self.works(
            """
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            lock = asyncio.Lock()
            def handler(event, context):
                async def locked():
                    async with lock:
                        return await work()
                assert asyncio.get_event_loop() is loop
                return loop.run_until_complete(locked())
            """
        )

    def test_async_handler_runs_on_the_loop_that_the_module_set(self):
        self.works(
            """
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            future = loop.create_future()
            loop.run_until_complete(work())
            async def handler(event, context):
                assert asyncio.get_running_loop() is loop
                if not future.done():
                    loop.call_soon(future.set_result, "ok")
                return await asyncio.shield(future)
            """
        )

    def test_returns_a_task_of_its_own_loop(self):
        self.works(
            """
            loop = asyncio.new_event_loop()
            def handler(event, context): return loop.create_task(work())
            """
        )

    def test_loop_is_the_same_in_every_call(self):
        self.works(
            """
            seen = []
            async def handler(event, context):
                seen.append(asyncio.get_running_loop())
                return len(set(map(id, seen)))
            """,
            [1, 1, 1],
        )

    def test_own_policy(self):
        self.works(
            """
            asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
            def handler(event, context): return "ok"
            """
        )


if __name__ == "__main__":
    unittest.main()
