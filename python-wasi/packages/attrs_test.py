import attrs


@attrs.frozen
class Point:
    x: int
    y: int = attrs.field(default=0, validator=attrs.validators.ge(0))


def handler(event, context):
    assert attrs.asdict(Point(1)) == {"x": 1, "y": 0}
    try:
        Point(1, -1)
    except ValueError:
        return
    raise AssertionError("no error")
