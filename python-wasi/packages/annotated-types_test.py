from annotated_types import Ge, Interval


def handler(event, context):
    assert list(Interval(ge=1, lt=5))[0] == Ge(1)
