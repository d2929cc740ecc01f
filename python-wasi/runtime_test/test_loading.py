"""Importing the function: its surroundings, its failures, what shadows what."""

import unittest

from guest import NATIVE, http, run


def load(code, **options):
    return run(code, http(), **options)


class Surroundings(unittest.TestCase):
    def test_environment_is_the_given_one_and_no_other(self):
        code = """
        import os
        SEEN = dict(os.environ)
        def handler(event, context): return [SEEN, os.getenv("A")]
        """
        environment = {"A": "1", "B": "ы"}
        got = load(code, environment=environment).answer.result()
        self.assertEqual(got, [environment, "1"])

    def test_code_is_the_working_directory_and_comes_first_on_the_path(self):
        files = {
            "main.py": """
                import os, sys
                TEXT = open("data.txt").read()
                def handler(event, context):
                    return [TEXT, os.getcwd(), sys.path[:2], sys.argv]
                """,
            "data.txt": "hello",
        }
        text, cwd, path, argv = load(files).answer.result()
        self.assertEqual(text, "hello")
        self.assertEqual(argv, [""])
        if NATIVE:
            return
        self.assertEqual(cwd, "/function/code")
        self.assertEqual(path, ["/function/code", "/function/runtime"])

    def test_globals_live_from_call_to_call(self):
        code = """
        n = 0
        def handler(event, context):
            global n
            n += 1
            return n
        """
        done = run(code, http(), http(), http())
        self.assertEqual([a.result() for a in done.answers], [1, 2, 3])

    def test_main_module_exists(self):
        code = """
        import sys
        def handler(event, context):
            return [__name__, sys.modules["__main__"].__name__]
        """
        self.assertEqual(load(code).answer.result(), ["main", "__main__"])

    def test_handler_runs_on_the_main_thread(self):
        code = """
        import threading
        def handler(event, context):
            return threading.current_thread() is threading.main_thread()
        """
        self.assertIs(load(code).answer.result(), True)


class Shadowing(unittest.TestCase):
    def test_own_module_comes_before_one_imported_ahead(self):
        files = {
            "main.py": """
                import random, json.decoder, uuid
                def handler(event, context):
                    return [random.OWN, hasattr(json.decoder, "OWN"), uuid.OWN]
                """,
            "random.py": "OWN = 1",
            "json/__init__.py": "",
            "json/decoder.py": "OWN = 2",
            "uuid.py": "OWN = 3",
        }
        done = run(files, http(), http())
        for answer in done.answers:
            self.assertEqual(answer.result(), [1, True, 3])

    def test_folder_without_init_shadows_nothing(self):
        files = {
            "main.py": """
                import logging
                def handler(event, context): return hasattr(logging, "getLogger")
                """,
            "logging/data.txt": "",
        }
        self.assertIs(load(files).answer.result(), True)

    def test_what_cpython_needs_stays(self):
        names = ["os", "sys", "io", "abc", "codecs", "time"]
        files = {f"{name}.py": "OWN = 1" for name in names}
        files["main.py"] = f"""
        import {", ".join(names)}
        def handler(event, context):
            return [hasattr(m, "OWN") for m in [{", ".join(names)}]]
        """
        self.assertEqual(load(files).answer.result(), [False] * len(names))

    def test_errors_are_reported_with_traceback_and_logging_shadowed(self):
        files = {
            "main.py": "def handler(event, context): 1 / 0",
            "traceback.py": "",
            "logging.py": "",
            "linecache.py": "",
            "asyncio/__init__.py": "",
        }
        error = load(files).answer.error()
        self.assertEqual(error["errorType"], "ZeroDivisionError")
        self.assertEqual(len(error["stackTrace"]), 2)

    def test_hooks_are_ours_even_if_the_function_brings_the_package_along(self):
        files = {
            "main.py": """
                import snapshot_restore_py
                def handler(event, context):
                    return hasattr(snapshot_restore_py, "OWN")
                """,
            "snapshot_restore_py/__init__.py": "OWN = 1",
        }
        self.assertIs(load(files).answer.result(), False)


class Failure(unittest.TestCase):
    def test_while_importing_is_reported_with_the_functions_frames(self):
        files = {
            "main.py": "import helper",
            "helper.py": "def f():\n    raise KeyError('lyrics')\nf()",
        }
        done = run(files, http(), http())
        error = done.load.error()
        self.assertEqual(error["errorMessage"], "'lyrics'")
        self.assertEqual(error["errorType"], "KeyError")
        first, *rest = error["stackTrace"]
        self.assertTrue(first.startswith('  File "/function/runtime/runtime.py", line '))
        self.assertEqual(
            [frame.split("\n")[0] for frame in rest],
            [
                '  File "/function/code/main.py", line 1, in <module>',
                '  File "/function/code/helper.py", line 3, in <module>',
                '  File "/function/code/helper.py", line 2, in f',
            ],
        )
        # The import is not tried again; every call answers the same.
        self.assertEqual([a.error() for a in done.answers], [error, error])

    def test_missing_dependency(self):
        error = load("import numpy_is_missing").load.error()
        self.assertEqual(error["errorType"], "ModuleNotFoundError")
        self.assertEqual(error["errorMessage"], "No module named 'numpy_is_missing'")
        self.assertIn("/function/code/main.py", error["stackTrace"][-1])

    def test_syntax_error_says_where(self):
        done = load("def handler(event, context):\n    retrun 5\n")
        error = done.load.error()
        self.assertEqual(error["errorType"], "SyntaxError")
        self.assertEqual(error["errorMessage"], "invalid syntax (main.py, line 2)")
        self.assertIn('  File "/function/code/main.py", line 2\n', error["stackTrace"][-1])
        self.assertIn("retrun 5", error["stackTrace"][-1])
        self.assertIn("retrun 5", done.stderr)

    def test_indentation_error_is_named_as_such(self):
        error = load("def handler(event, context):\nreturn 5\n").load.error()
        self.assertEqual(error["errorType"], "IndentationError")

    def test_source_that_is_not_text(self):
        error = load("x = '\0'").load.error()
        self.assertEqual(error["errorType"], "SyntaxError")

    def test_exit_while_importing_discards_the_instance(self):
        for code in ["import sys; sys.exit(3)", "raise SystemExit(3)", "exit(3)"]:
            done = load(code)
            self.assertEqual(done.load.status, 1)
            self.assertEqual(done.load.error()["errorType"], "SystemExit")
            self.assertIn("3", done.load.error()["errorMessage"])

    def test_base_exception_while_importing(self):
        done = load("raise KeyboardInterrupt")
        self.assertEqual(done.load.status, 0)
        self.assertEqual(done.load.error()["errorType"], "KeyboardInterrupt")

    def test_prints_of_a_failed_import_are_logged(self):
        done = load("print('before', end='')\n1/0")
        self.assertEqual(done.stdout, "before\n")


if __name__ == "__main__":
    unittest.main()
