"""The plugin for pytest, which finds it by itself: the fixture ``sandbox``."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from vivarium_testing._sandbox import FunctionError, Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vivarium", metavar="PATH", help="the program vivarium, for the fixture sandbox")


@pytest.fixture(scope="session")
def sandbox(pytestconfig: pytest.Config) -> Sandbox:
    """Calls handlers as they are called once they are deployed."""
    try:
        return Sandbox(pytestconfig.getoption("--vivarium"))
    except FileNotFoundError as error:
        pytest.fail(f"{error}, or pytest --vivarium PATH", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a function that failed has logged: its traceback is there."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, FunctionError) and call.excinfo.value.log:
        report.sections.append(("Log of the function", call.excinfo.value.log))
    return report
