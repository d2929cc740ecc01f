"""What the programs of pyperformance need of pyperf: it notes what they would have it measure."""

import argparse
from time import perf_counter  # noqa: F401

cases = {}


def python_implementation():
    return "cpython"


class Runner:
    """Takes functions, and runs none."""

    def __init__(self, **_):
        self.metadata = {}
        self.argparser = argparse.ArgumentParser()
        self.parse_args = self.argparser.parse_args

    def bench_func(self, name, function, *args, inner_loops=1):
        """Notes a function that does its work once."""
        cases[name] = lambda: function(*args)

    def bench_time_func(self, name, function, *args, inner_loops=1):
        """Notes a function that does its work as often as it is told, and returns the time, which is of no interest."""
        cases[name] = lambda: function(1, *args) and None
