"""Runs one module of CPython's test suite and reports the outcome of each test.

The function that the tool deploys: the event names the module and the pass, the
result has the names of the tests by outcome. Like regrtest, it gives the tests
a working directory of their own and denies them costly resources.
"""

import contextlib
import importlib
import importlib.machinery
import os
import random
import struct
import sys
import types
import unittest

# Limits: of a reason, a name, and all tracebacks together.
REASON, NAME, DETAILS = 300, 300, 200_000

# How long a test waits, in seconds, for what does not come; and for what does not come from this machine.
PATIENCE, LOCAL_PATIENCE = 30, 3

# Tests that would never end where their skip is lifted: by module, the class, the name and why.
ENDLESS = {"test_thread": ("TestForkInThread", "test_forkinthread", "waits for what a forked process writes")}

# The C modules that CPython's own build has only for its tests.
C_TEST_MODULES = {
    "_ctypes_test", "_testbuffer", "_testcapi", "_testclinic", "_testclinic_limited", "_testexternalinspection",
    "_testimportmultiple", "_testinternalcapi", "_testlimitedcapi", "_testmultiphase", "_testsinglephase", "_xxtestfuzz",
}  # fmt: skip


def handler(event, context):
    os.environ["PYTHONREGRTEST_UNICODE_GUARD"] = "\u00e6"
    folder = "/tmp/test_python_worker_\u00e6"
    os.mkdir(folder)
    os.chdir(folder)
    random.seed(0)
    from test import support

    if event["pass"] == 2:
        sys.meta_path.append(StubFinder())
        unittest.TestCase._callSetUp = set_up_or_tear_down
    if event["pass"] == 3:
        as_on_linux(support)
        if event["module"] == "test_asyncio.test_events":
            spare_terminals_and_signals()
    from test.libregrtest import utils
    from test.support import socket_helper

    # As "python -m test" does.
    sys.modules["__main__"].__spec__ = importlib.machinery.ModuleSpec("test.__main__", None)

    utils.setup_unraisable_hook()
    utils.setup_threading_excepthook()
    support.record_original_stdout(sys.stdout)
    support.verbose = False
    support.use_resources = ()
    support.LONG_TIMEOUT, support.LOOPBACK_TIMEOUT = PATIENCE, LOCAL_PATIENCE

    # Here it is creating one that fails, which their probe does not expect.
    socket_helper._bind_nix_socket_error = OSError("no Unix sockets")

    name = "test." + event["module"]
    try:
        module = importlib.import_module(name)
        endless = ENDLESS.get(event["module"]) if event["pass"] == 3 else None
        if endless:
            delattr(getattr(module, endless[0]), endless[1])
        loader = unittest.TestLoader()
        suite = loader.loadTestsFromModule(module)
    except unittest.SkipTest as skip:
        return {"skip": str(skip)[:REASON]}
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name in C_TEST_MODULES:
            return {"skip": str(error)}
        return {"error": reason_of(error)}
    if loader.errors:
        return {"error": loader.errors[0].strip().splitlines()[-1][:REASON]}
    outcomes = Outcomes(name + ".", event["trace"])
    if endless:
        outcomes.note(".".join(endless[:2]), FAILED, endless[2])
    try:
        suite.run(outcomes)
    except BaseException as error:
        outcomes.note("the run", FAILED, reason_of(error))
    return outcomes.answer()


def as_on_linux(support):
    """Lift the skips for WASI, before anything has looked at them."""
    support.is_wasi = False
    support.has_fork_support = True
    support.has_subprocess_support = True
    support.has_socket_support = True
    from test.support import threading_helper

    threading_helper.can_start_thread = True


def spare_terminals_and_signals():
    """Replace what a module can't be without, though few of its tests are about it."""
    import asyncio

    sys.modules["tty"] = types.ModuleType("tty")
    asyncio.SafeChildWatcher = asyncio.ThreadedChildWatcher  # the former waits for signals


set_up = unittest.TestCase._callSetUp


def set_up_or_tear_down(test):
    """Set a test up. What it has taken when a stub ends that in its middle would be in the way of other tests."""
    try:
        set_up(test)
    except unittest.SkipTest:
        with contextlib.suppress(Exception):
            test.tearDown()
        raise


class StubFinder:
    """Stands in for the C modules that exist only for tests."""

    def find_spec(self, name, path=None, target=None):
        if name in C_TEST_MODULES:
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


class Stub(types.ModuleType):
    """A module that has every name. Using one skips the test."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        # Tests compute with the limits of C types while they are imported.
        kind, _, end = name.rpartition("_")
        if code := {"CHAR": "b", "SHRT": "h", "INT": "i", "LONG": "l", "LLONG": "q", "PY_SSIZE_T": "n"}.get(kind):
            bits = struct.calcsize(code) * 8
            return (1 << (bits - 1)) - 1 if end == "MAX" else -(1 << (bits - 1))
        if code := {"UCHAR": "B", "USHRT": "H", "UINT": "I", "ULONG": "L", "ULLONG": "Q"}.get(kind):
            return (1 << (struct.calcsize(code) * 8)) - 1
        return StubMember(self.__name__)


class StubMember:
    def __init__(self, module):
        self._module = module

    def __call__(self, *args, **kwargs):
        raise unittest.SkipTest(f"No module named {self._module!r}")

    def __getattr__(self, name):
        return self()


PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
WORSE = (SKIPPED, PASSED, FAILED)


class Outcomes(unittest.TestResult):
    """One outcome for each test name: the worst of all tests that have it."""

    def __init__(self, prefix, trace):
        super().__init__()
        self.prefix = prefix
        self.trace = trace
        self.outcomes = {}
        self.details = {}
        self.room = DETAILS

    def note(self, name, outcome, reason=""):
        name = name.replace(self.prefix, "")[:NAME]
        old = self.outcomes.get(name)
        if old is None or WORSE.index(outcome) > WORSE.index(old[0]):
            self.outcomes[name] = (outcome, reason)
        return name

    def fail(self, test, err):
        name = self.note(test.id(), FAILED, reason_of(err[1]))
        if name not in self.details:
            text = self._exc_info_to_string(err, test)[-self.room :] if self.room else ""
            self.room -= len(text)
            self.details[name] = text

    def startTest(self, test):
        super().startTest(test)
        if self.trace:
            os.write(2, f"{test.id()}\n".encode(errors="replace"))

    def addSuccess(self, test):
        self.note(test.id(), PASSED)

    def addExpectedFailure(self, test, err):
        self.note(test.id(), PASSED)

    def addUnexpectedSuccess(self, test):
        self.note(test.id(), FAILED, "unexpected success")

    def addSkip(self, test, reason):
        # A skipped subtest does not change the test's outcome.
        if not hasattr(test, "test_case"):
            self.note(test.id(), SKIPPED, str(reason)[:REASON])

    def addError(self, test, err):
        self.fail(test, err)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.fail(test, err)

    def answer(self):
        answer = {"passed": [], "skipped": {}, "failed": {}, "details": self.details}
        for name, (outcome, reason) in self.outcomes.items():
            if outcome == PASSED:
                answer["passed"].append(name)
            elif outcome == SKIPPED:
                answer["skipped"].setdefault(reason, []).append(name)
            else:
                answer["failed"][name] = reason
        return answer


def reason_of(error):
    """One line: the exception's type and the first line of its text."""
    try:
        text = str(error).strip().partition("\n")[0]
    except BaseException:
        text = "(no text)"
    return f"{type(error).__name__}: {text}"[:REASON]
