from frozenlist import FrozenList


def handler(event, context):
    items = FrozenList([1, 2])
    items.append(3)
    items.freeze()
    assert items == [1, 2, 3] and hash(items)
    try:
        items.append(4)
    except RuntimeError:
        return
    raise AssertionError("a frozen list took an item")
