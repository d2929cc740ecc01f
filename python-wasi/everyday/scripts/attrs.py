import attrs


@attrs.define(order=True)
class Point:
    x: int = attrs.field(validator=attrs.validators.instance_of(int))
    y: int = attrs.field(default=0, converter=int)


def handler(event, context):
    try:
        Point("a")
    except TypeError as error:
        wrong = type(error).__name__
    return [attrs.asdict(Point(1, "2")), Point(1) < Point(2), repr(attrs.evolve(Point(1), y=5)), wrong]
