"""From the name of an entry point to the callable, and what callables there are."""

import unittest

from guest import http, run


def entry(files, entrypoint="main.handler", **options):
    return run(files, http({"n": 1}), entrypoint=entrypoint, **options)


class Callable(unittest.TestCase):
    def works(self, code, **options):
        self.assertEqual(entry(code, **options).answer.result(), {"n": 1})

    def test_function(self):
        self.works("def handler(event, context): return event")

    def test_lambda(self):
        self.works("handler = lambda event, context: event")

    def test_async_function(self):
        self.works("async def handler(event, context): return event")

    def test_class(self):
        self.works(
            """
            class handler(dict):
                def __init__(self, event, context):
                    super().__init__(event)
            """
        )

    def test_object_with_call(self):
        self.works(
            """
            class Handler:
                def __call__(self, event, context): return event
            handler = Handler()
            """
        )

    def test_object_with_async_call(self):
        self.works(
            """
            class Handler:
                async def __call__(self, event, context): return event
            handler = Handler()
            """
        )

    def test_bound_method(self):
        self.works(
            """
            class App:
                def handle(self, event, context): return event
            handler = App().handle
            """
        )

    def test_partial_of_sync_and_async(self):
        for kind in ["", "async "]:
            self.works(
                f"""
                import functools
                {kind}def handle(prefix, event, context): return event
                handler = functools.partial(handle, "p")
                """
            )

    def test_decorated_async_function(self):
        self.works(
            """
            import functools
            def log(f):
                @functools.wraps(f)
                def wrapper(*args): return f(*args)
                return wrapper
            @log
            async def handler(event, context): return event
            """
        )

    def test_sync_function_that_returns_an_awaitable(self):
        self.works(
            """
            class Later:
                def __init__(self, value): self.value = value
                def __await__(self):
                    return self.value
                    yield
            handler = lambda event, context: Later(event)
            """
        )

    def test_async_function_of_a_generator_based_coroutine(self):
        self.works(
            """
            import types
            @types.coroutine
            def handler(event, context):
                yield
                return event
            """
        )


class Name(unittest.TestCase):
    def test_is_split_at_its_last_dot(self):
        files = {
            "pkg/__init__.py": "",
            "pkg/deep/__init__.py": "",
            "pkg/deep/main.py": "from ..helper import handle as handler",
            "pkg/helper.py": "def handle(event, context): return __name__",
        }
        got = entry(files, "pkg.deep.main.handler").answer.result()
        self.assertEqual(got, "pkg.helper")

    def test_may_go_through_a_namespace_package(self):
        files = {
            "space/sub/main.py": "from .other import handler",
            "space/sub/other.py": "def handler(event, context): return 1",
        }
        self.assertEqual(entry(files, "space.sub.main.handler").answer.result(), 1)

    def test_may_name_a_package(self):
        files = {"app/__init__.py": "def handler(event, context): return 2"}
        self.assertEqual(entry(files, "app.handler").answer.result(), 2)

    def test_may_be_that_of_a_module_of_the_runner(self):
        for module in ["runtime", "vivarium", "snapshot"]:
            files = {f"{module}.py": "def handler(event, context): return 3"}
            self.assertEqual(entry(files, f"{module}.handler").answer.result(), 3)


class Missing(unittest.TestCase):
    def not_found(self, code, message, **options):
        done = entry(code, **options)
        for answer in [done.load, done.answer]:
            self.assertEqual(answer.status, 0)
            self.assertEqual(
                answer.error(),
                {
                    "errorMessage": message,
                    "errorType": "HandlerNotFound",
                    "stackTrace": [],
                },
            )
        self.assertEqual(done.stderr, f"HandlerNotFound: {message}\n")

    def test_attribute(self):
        self.not_found("", "module 'main' has no attribute 'handler'")

    def test_attribute_of_a_package(self):
        self.not_found(
            {"a/__init__.py": "", "a/b.py": ""},
            "module 'a.b' has no attribute 'go'",
            entrypoint="a.b.go",
        )

    def test_callable(self):
        self.not_found(
            "handler = 5",
            "attribute 'handler' of module 'main' is not callable but of type 'int'",
        )

    def test_dot(self):
        self.not_found(
            "",
            "entry point 'handler' is not of the form <module>.<handler>: "
            "module '', attribute 'handler'",
            entrypoint="handler",
        )

    def test_module(self):
        done = entry("", "nothing.handler")
        error = done.load.error()
        self.assertEqual(error["errorType"], "ModuleNotFoundError")
        self.assertEqual(error["errorMessage"], "No module named 'nothing'")
        self.assertEqual(done.answer.error(), error)


if __name__ == "__main__":
    unittest.main()
