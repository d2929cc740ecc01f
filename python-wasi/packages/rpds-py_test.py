import pickle

import rpds


def handler(event, context):
    empty = rpds.HashTrieMap()
    full = empty.insert("key", 1).update({"other": 2})
    assert len(empty) == 0 and dict(full) == {"key": 1, "other": 2}
    assert full.remove("key") == rpds.HashTrieMap({"other": 2})
    assert rpds.HashTrieSet([1, 2, 2]).union(rpds.HashTrieSet([3])) == rpds.HashTrieSet([1, 2, 3])
    assert list(rpds.List([1, 2]).push_front(0)) == [0, 1, 2]
    assert pickle.loads(pickle.dumps(full)) == full
    try:
        empty["missing"]
    except KeyError as error:
        assert error.args == ("missing",)
    else:
        raise AssertionError("found a missing key")
