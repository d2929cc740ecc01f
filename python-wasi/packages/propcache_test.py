from propcache import _helpers_c
from propcache.api import cached_property, under_cached_property


class Thing:
    def __init__(self):
        self._cache = {}
        self.calls = 0

    @cached_property
    def one(self):
        self.calls += 1
        return 1

    @under_cached_property
    def two(self):
        self.calls += 1
        return 2


def handler(event, context):
    assert cached_property is _helpers_c.cached_property
    thing = Thing()
    assert (thing.one, thing.one, thing.two, thing.two) == (1, 1, 2, 2)
    assert thing.calls == 2
