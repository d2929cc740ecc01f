import wrapt
from wrapt import _wrappers


@wrapt.decorator
def twice(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs) * 2


class Counter:
    @twice
    def count(self, number):
        """Counts."""
        return number


def handler(event, context):
    assert wrapt.ObjectProxy.__mro__[1] is _wrappers.ObjectProxy or wrapt.ObjectProxy is _wrappers.ObjectProxy
    assert Counter().count(3) == 6 and Counter.count.__doc__ == "Counts."
    proxy = wrapt.ObjectProxy({"a": 1})
    assert proxy["a"] == 1 and proxy == {"a": 1} and isinstance(proxy, dict)
    assert wrapt.ObjectProxy(5) + 1 == 6
