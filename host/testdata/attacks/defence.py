# What attacks have in common.
import errno


def refused(call, *args, **named):
    """The name of the error that a call ends in; a call that works is a breach."""
    try:
        result = call(*args, **named)
    except Exception as error:
        number = getattr(error, "errno", None)
        return errno.errorcode.get(number, type(error).__name__)
    raise AssertionError(f"{call}{args!r:.200} was let through: {result!r:.200}")


def allow(expected, call, *args, **named):
    """A call must end in one of the errors."""
    got = refused(call, *args, **named)
    assert got in expected.split(), f"{call}{args!r:.200}: {got}, want {expected}"
