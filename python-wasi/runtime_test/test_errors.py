"""Exceptions on their way to the caller and to the log."""

import unittest

from guest import NATIVE, fail, http, raw, run

HANDLE_EVENT = '  File "/function/runtime/runtime.py", line '


def raising(expression):
    return f"def handler(event, context):\n    raise {expression}\n"


class FunctionError(unittest.TestCase):
    def test_has_message_type_and_trace_in_this_order(self):
        answer = run(raising("KeyError('lyrics')"), http()).answer
        self.assertEqual(answer.status, 0)
        error = answer.error()
        self.assertEqual(list(error), ["errorMessage", "errorType", "stackTrace"])
        self.assertEqual(error["errorMessage"], "'lyrics'")
        self.assertEqual(error["errorType"], "KeyError")
        first, second = error["stackTrace"]
        self.assertTrue(first.startswith(HANDLE_EVENT), first)
        self.assertIn(", in handle_event\n    result = handler(event, context)\n", first)
        self.assertEqual(
            second,
            '  File "/function/code/main.py", line 2, in handler\n'
            "    raise KeyError('lyrics')\n",
        )

    def test_is_the_same_in_raw_mode(self):
        code = raising("KeyError('lyrics')")
        self.assertEqual(fail(code, raw("{}")), fail(code))

    def test_type_is_the_bare_class_name(self):
        code = "class Own(Exception): pass\n" + raising("Own('x')")
        self.assertEqual(fail(code)["errorType"], "Own")

    def test_wrong_number_of_arguments(self):
        error = fail("def handler(event): pass")
        self.assertEqual(error["errorType"], "TypeError")
        self.assertIn("takes 1 positional argument but 2 were given", error["errorMessage"])
        self.assertEqual(len(error["stackTrace"]), 1)

    def test_of_async_handler_hides_the_event_loop(self):
        code = """
        import asyncio
        async def inner(): raise KeyError("lyrics")
        async def handler(event, context):
            await asyncio.sleep(0)
            await inner()
        """
        trace = fail(code)["stackTrace"]
        self.assertIn(", in handle_event\n", trace[0])
        self.assertEqual(
            [frame.split("\n")[0] for frame in trace[1:]],
            [
                '  File "/function/code/main.py", line 6, in handler',
                '  File "/function/code/main.py", line 3, in inner',
            ],
        )

    def test_of_group_is_the_group_and_the_log_has_all(self):
        code = """
        import asyncio
        async def inner(): raise KeyError("lyrics")
        async def handler(event, context):
            async with asyncio.TaskGroup() as tg:
                tg.create_task(inner())
        """
        done = run(code, http())
        self.assertEqual(done.answer.error()["errorType"], "ExceptionGroup")
        self.assertIn("KeyError: 'lyrics'", done.stderr)

    def test_of_chain_is_the_last_and_the_log_has_all(self):
        code = """
        def handler(event, context):
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("outer") from error
        """
        done = run(code, http())
        error = done.answer.error()
        self.assertEqual(error["errorType"], "ValueError")
        self.assertNotIn("ZeroDivisionError", "".join(error["stackTrace"][:1]))
        self.assertIn("ZeroDivisionError: division by zero", done.stderr)
        self.assertIn("ValueError: outer", done.stderr)

    def test_traceback_is_one_entry_of_the_log(self):
        done = run(raising("ValueError('x')"), http())
        self.assertEqual(done.stderr.count("\n"), 1)
        lines = done.stderr.rstrip("\n").split("\r")
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertEqual(lines[-1], "ValueError: x")


class BaseExceptions(unittest.TestCase):
    def test_are_function_errors_and_the_instance_lives(self):
        kinds = ["KeyboardInterrupt", "GeneratorExit", "StopIteration", "BaseException"]
        code = """
        import asyncio, builtins
        def handler(event, context): raise getattr(builtins, event["kind"])
        """
        done = run(code, *(http({"kind": kind}) for kind in kinds))
        for kind, answer in zip(kinds, done.answers):
            self.assertEqual(answer.status, 0)
            self.assertEqual(answer.error()["errorType"], kind)

    def test_in_async_handlers_leave_the_loop_usable(self):
        kinds = ["KeyboardInterrupt", "GeneratorExit", "CancelledError", "BaseException"]
        code = """
        import asyncio, builtins
        async def handler(event, context):
            await asyncio.sleep(0)
            kind = event.get("kind")
            if kind:
                raise getattr(builtins, kind, asyncio.CancelledError)
            return "fine"
        """
        calls = [http({"kind": k}) for kind in kinds for k in (kind, None)]
        done = run(code, *calls)
        for kind, answer in zip(kinds, done.answers[::2]):
            self.assertEqual(answer.status, 0)
            self.assertEqual(answer.error()["errorType"], kind)
        for answer in done.answers[1::2]:
            self.assertEqual(answer.result(), "fine")

    def test_system_exit_discards_the_instance_and_says_its_code(self):
        for code, message in [
            ("sys.exit(3)", "the function ended its process with exit code 3"),
            ("sys.exit()", "the function ended its process with exit code 0"),
            ("sys.exit('bye')", "the function ended its process with exit code 1: bye"),
            ("exit(4)", "the function ended its process with exit code 4"),
            ("quit()", "the function ended its process with exit code 0"),
        ]:
            for kind in ["", "async "]:
                done = run(f"import sys\n{kind}def handler(e, c): {code}", http())
                self.assertEqual(done.answer.status, 1)
                self.assertEqual(done.stdout, "")
                error = done.answer.error()
                self.assertEqual(error["errorType"], "SystemExit")
                self.assertEqual(error["errorMessage"], message)


class Generators(unittest.TestCase):
    def test_are_type_errors(self):
        for kind, word in [("", "a generator"), ("async ", "an async generator")]:
            error = fail(f"{kind}def handler(event, context): yield 1")
            self.assertEqual(error["errorType"], "TypeError")
            self.assertEqual(
                error["errorMessage"],
                f"the handler returned {word} (handler); "
                "it must return its result, not yield it",
            )


class Hostile(unittest.TestCase):
    """Exceptions made to break the one who reports them."""

    def reports(self, code, kind, message, **options):
        done = run(code, http(), http(), **options)
        for answer in done.answers:
            self.assertEqual(answer.status, 0)
            error = answer.error()
            self.assertEqual(error["errorType"], kind)
            self.assertEqual(error["errorMessage"], message)
        return done.answers[0].error()

    def test_str_that_raises(self):
        for what in ["1 / 0", "raise SystemExit", "return 5"]:
            code = f"class E(Exception):\n    def __str__(self): {what}\n"
            self.reports(code + raising("E"), "E", "<exception str() failed>")

    def test_str_of_a_subclass(self):
        code = """
        class S(str):
            def __getitem__(self, i): 1 / 0
            def __len__(self): 1 / 0
            def __str__(self): 1 / 0
            def encode(self, *a): 1 / 0
        class E(Exception):
            def __str__(self): return S("mine")
        def handler(event, context): raise E
        """
        self.reports(code, "E", "mine")

    def test_class_without_a_proper_name(self):
        code = """
        class Meta(type):
            @property
            def __name__(cls): return 5
            @property
            def __module__(cls): return 1 / 0
        class E(Exception, metaclass=Meta): pass
        def handler(event, context): raise E("x")
        """
        self.reports(code, "Exception", "x")

    def test_attributes_that_raise(self):
        code = """
        class E(Exception):
            def __getattribute__(self, name): 1 / 0
        def handler(event, context): raise E("x")
        """
        self.reports(code, "E", "x")

    def test_lone_surrogates_and_controls(self):
        code = raising(r"ValueError('\ud800\x00\r\n')")
        error = self.reports(code, "ValueError", "\ud800\x00\r\n")
        self.assertEqual(len(error["stackTrace"]), 2)

    def test_huge_message_is_cut(self):
        self.reports(raising("ValueError('x' * 10_000_000)"), "ValueError", "x" * 65536)

    def test_cyclic_chain(self):
        code = """
        def handler(event, context):
            a, b = ValueError("a"), ValueError("b")
            a.__cause__, b.__cause__ = b, a
            raise a
        """
        self.reports(code, "ValueError", "a")

    def test_long_chain(self):
        code = """
        def handler(event, context):
            error = None
            for n in range(20_000):
                new = ValueError(str(n))
                new.__cause__, error = error, new
            raise error
        """
        self.reports(code, "ValueError", "19999")

    def test_deep_groups(self):
        code = """
        def handler(event, context):
            error = ValueError("x")
            for n in range(3000):
                error = ExceptionGroup(str(n), [error])
            raise error
        """
        self.reports(code, "ExceptionGroup", "2999 (1 sub-exception)")

    def test_recursion_limit_set_too_low(self):
        code = """
        import sys
        def handler(event, context):
            depth = 1
            while True:
                try:
                    sys.setrecursionlimit(depth)
                    break
                except RecursionError:
                    depth += 1
            raise ValueError("x")
        """
        done = run(code, http(), http())
        for answer in done.answers:
            self.assertIn(answer.error()["errorType"], ["ValueError", "RecursionError"])

    def test_frames_that_pretend_to_be_elsewhere(self):
        code = r"""
        exec(compile("def f(): raise ValueError('x')", "\ud800/no\x01where", "exec"))
        def handler(event, context): f()
        """
        self.reports(code, "ValueError", "x")


class Recursion(unittest.TestCase):
    def test_without_end_is_a_recursion_error(self):
        error = fail("def handler(event, context): return handler(event, context)")
        self.assertEqual(error["errorType"], "RecursionError")
        self.assertIn("maximum recursion depth exceeded", error["errorMessage"])
        self.assertLess(len(error["stackTrace"]), 10)
        self.assertIn("[Previous line repeated ", error["stackTrace"][-1])

    def test_of_many_functions_keeps_both_ends_of_the_trace(self):
        code = """
        import sys
        sys.setrecursionlimit(30_000)
        def a(n): b(n)
        def b(n): c(n)
        def c(n): a(n - 1) if n else 1 / 0
        def handler(event, context): a(event["n"])
        """
        for n in [300, 5000]:
            done = run(code, http({"n": n}))
            error = done.answer.error()
            self.assertEqual(error["errorType"], "ZeroDivisionError")
            trace = error["stackTrace"]
            self.assertEqual(len(trace), 101)
            self.assertIn("in handle_event\n", trace[0])
            self.assertIn("in handler\n", trace[1])
            self.assertRegex(trace[50], r"^  \[\d+ more frames\]\n$")
            self.assertIn("in c\n", trace[-1])
            self.assertIn("ZeroDivisionError", done.stderr)

    def test_in_the_result_is_an_error_not_a_crash(self):
        code = """
        def handler(event, context):
            deep = []
            for _ in range(200_000):
                deep = [deep]
            return deep
        """
        self.assertEqual(fail(code)["errorType"], "RecursionError")


class Log(unittest.TestCase):
    def test_lines_that_are_not_ended_are_entries_of_their_own(self):
        code = """
        import os, sys
        def handler(event, context):
            print("working", end=" ")
            sys.stderr.write("50%")
            sys.stderr.flush()
            os.write(2, b" and more")
            raise ValueError("boom")
        """
        done = run(code, http(), http())
        self.assertEqual(done.stdout, "working \n" * 2)
        entries = done.stderr.split("\n")
        self.assertEqual(entries[0], "50% and more")
        self.assertTrue(entries[1].startswith("Traceback"), entries)
        self.assertEqual(entries[4:], [""])

    def test_frames_of_imports_are_not_shown(self):
        imports = {"helper.py": "import broken", "broken.py": "def broken(:\n pass"}
        for broken in (imports, {**imports, "broken.py": 'x = "\0"'}, {**imports, "broken.py": "1 / 0"}):
            for code in ("import helper", "try:\n    1 / 0\nexcept Exception:\n    import helper"):
                code += "\ndef handler(event, context): pass"
                answer = run({"main.py": code, **broken}, http())
                trace = answer.answer.error()["stackTrace"]
                self.assertNotIn("", trace)
                files = [line.split('"')[1] for line in trace]
                self.assertEqual(files[1:3], ["/function/code/main.py", "/function/code/helper.py"])
                for text in (*files[1:], answer.stderr.replace("/function/runtime/runtime.py", "")):
                    self.assertNotIn("/function/runtime", text)
                    self.assertNotIn("importlib", text)

    def test_a_result_that_json_has_no_number_for_says_what_to_do(self):
        for value in ("float('nan')", "{'a': [float('-inf')]}"):
            error = fail(f"def handler(event, context): return {value}")
            self.assertEqual(error["errorType"], "ValueError")
            self.assertIn("return None or a text", error["errorMessage"])
            self.assertEqual(len(error["stackTrace"]), 1)


class Memory(unittest.TestCase):
    GREEDY = """
    import sys
    kept = []
    def handler(event, context):
        held = []
        if event.get("quick"):
            return "fine"
        while True:
            (kept if event.get("keep") else held).append(bytearray(event["size"]))
    """

    def test_error_is_reported_and_the_instance_goes_on(self):
        sizes = [1000, 1_000_000] if NATIVE else [100, 1000, 1_000_000, 10**9]
        calls = [http(e) for n in sizes for e in ({"size": n}, {"quick": 1})]
        done = run(self.GREEDY, *calls, memory_mb=64)
        for answer in done.answers[::2]:
            self.assertEqual(answer.status, 0)
            self.assertEqual(answer.error()["errorType"], "MemoryError")
            self.assertEqual(answer.error()["errorMessage"], "")
        for answer in done.answers[1::2]:
            self.assertEqual(answer.result(), "fine")
        # With nothing at all left, unwinding fails with a MemoryError as well.
        self.assertGreaterEqual(done.stderr.count("MemoryError"), len(sizes))

    def test_error_can_be_caught(self):
        code = """
        def handler(event, context):
            try:
                bytearray(10**9)
            except MemoryError:
                return "caught"
        """
        done = run(code, http(), memory_mb=64)
        self.assertEqual(done.answer.result(), "caught")

    def test_that_globals_keep_makes_each_call_an_error_not_a_crash(self):
        calls = [http({"size": 500, "keep": True}) for _ in range(3)]
        done = run(self.GREEDY, *calls, memory_mb=64)
        for answer in done.answers:
            self.assertEqual(answer.error()["errorType"], "MemoryError")

    def test_exhausted_while_importing(self):
        done = run("held = []\nwhile True: held.append(bytearray(1000))", memory_mb=64)
        self.assertEqual(done.load.error()["errorType"], "MemoryError")

    def test_exhausted_by_an_async_handler(self):
        code = """
        import asyncio
        async def handler(event, context):
            held = []
            await asyncio.sleep(0)
            while not event.get("quick"):
                held.append(bytearray(1000))
            return "fine"
        """
        done = run(code, http(), http({"quick": 1}), memory_mb=64)
        self.assertEqual(done.answers[0].error()["errorType"], "MemoryError")
        self.assertEqual(done.answers[1].result(), "fine")


if __name__ == "__main__":
    unittest.main()
