"""What the platform lacks: exceptions for the handler, never a crash."""

import unittest

from guest import NATIVE, http, run


@unittest.skipIf(NATIVE, "a plain CPython has all of these")
class Missing(unittest.TestCase):
    def fails(self, statement, *kinds):
        code = f"""
        import asyncio, os, signal, socket, subprocess, sys, threading
        import concurrent.futures
        def handler(event, context):
            {statement}
        """
        done = run(code, http(), http())
        for answer in done.answers:
            self.assertEqual(answer.status, 0)
            self.assertIn(answer.error()["errorType"], kinds)

    def test_fork(self):
        self.fails("os.fork()", "AttributeError")

    def test_subprocess(self):
        self.fails("subprocess.run(['ls'])", "OSError")

    def test_async_subprocess(self):
        self.fails(
            "asyncio.run(asyncio.create_subprocess_exec('ls'))",
            "OSError",
            "NotImplementedError",
            "AttributeError",
        )

    def test_sockets(self):
        self.fails("socket.socket()", "OSError")

    def test_connections_of_the_event_loop(self):
        self.fails(
            "asyncio.run(asyncio.open_connection('127.0.0.1', 80))",
            "OSError",
            "AttributeError",
            "gaierror",
        )


if __name__ == "__main__":
    unittest.main()
