from typing_extensions import ReadOnly, TypedDict, get_type_hints


class Point(TypedDict, extra_items=int):
    x: ReadOnly[int]


def handler(event, context):
    assert Point.__readonly_keys__ == {"x"}
    assert get_type_hints(Point) == {"x": int}
