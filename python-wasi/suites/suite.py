"""Runs files of a package's own tests, and answers with the outcome of each.

The tests are in a folder of their own, for the guest's packages have none.
"""

import importlib
import json
import os
import sys
import types
import zlib

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tests")


class Recorder:
    """A plugin of pytest that keeps the outcome of each test."""

    def __init__(self):
        self.outcomes = {}
        self.notes = {}

    def pytest_runtest_logstart(self, nodeid, location):
        # A test that ends the instance is the last one that its log names.
        print("test", nodeid, file=sys.stderr, flush=True)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid
        kept = self.outcomes.get(name)
        if report.when == "call" or report.outcome != "passed":
            outcome = report.outcome
            if hasattr(report, "wasxfail"):
                outcome = "skipped"
            if kept != "failed":
                self.outcomes[name] = outcome
            if outcome == "failed":
                crash = getattr(report.longrepr, "reprcrash", None)
                self.notes[name] = (crash.message if crash else str(report.longrepr))[:300]

    def pytest_collectreport(self, report):
        if report.outcome == "failed":
            self.outcomes[report.nodeid] = "failed"
            self.notes[report.nodeid] = str(report.longrepr)[-300:]


def find_tests():
    """Let tests that lie in the folders of packages be found as parts of these."""
    for folder, _, _ in os.walk(FOLDER):
        parent = os.path.dirname(folder)
        if os.path.basename(folder) == "tests" and FOLDER not in (folder, parent):
            package = os.path.relpath(parent, FOLDER).replace(os.sep, ".")
            importlib.import_module(package).__path__.append(parent)


class Absent:
    """Stands for whatever a module has that the guest lacks."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError("the guest has no such module")


class AbsentModule(types.ModuleType):
    """Has any name but those that say what a module is, which whoever inspects modules asks for."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


def stand_in():
    """Let files of tests be imported of which a few tests need ctypes or mmap."""
    for name in ("ctypes", "mmap"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = AbsentModule(name)


def without_dup(pytest):
    """A plugin for where nothing duplicates the descriptors of files: who wants one captured fails, and nobody after it."""

    class Plugin:
        @pytest.fixture
        def capfd(self):
            pytest.fail("descriptors of files can't be duplicated")

    return Plugin()


def handler(event, context):
    import pytest

    find_tests()
    stand_in()
    recorder = Recorder()
    files = [os.path.join(FOLDER, *name.split("/")) for name in event["files"]]
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--tb=short", "-W", "ignore"]
    options += [*event["options"], "--continue-on-collection-errors", "--rootdir", FOLDER, "-c", os.devnull]
    for name in event["without"]:
        options += ["--deselect", name]
    plugins = [recorder]
    try:
        os.close(os.dup(1))
    except OSError:
        plugins.append(without_dup(pytest))
    out, sys.stdout = sys.stdout, open(os.devnull, "w")
    try:
        code = pytest.main([*options, *files], plugins=plugins)
    finally:
        sys.stdout = out
    if code in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        raise RuntimeError(f"pytest could not run: {code!r}")
    answer = json.dumps({"outcomes": recorder.outcomes, "notes": recorder.notes})
    return zlib.compress(answer.encode())


if __name__ == "__main__":
    sys.stdout.buffer.write(handler(json.loads(sys.argv[1]), None))
