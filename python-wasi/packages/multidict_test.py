from multidict import CIMultiDict, MultiDict, MultiDictProxy, _multidict


def handler(event, context):
    assert MultiDict is _multidict.MultiDict
    headers = CIMultiDict([("Set-Cookie", "a=1"), ("set-cookie", "b=2")])
    assert headers.getall("SET-COOKIE") == ["a=1", "b=2"]
    headers["Accept"] = "*/*"
    assert list(headers) == ["Set-Cookie", "Accept"] and len(headers) == 3
    proxy = MultiDictProxy(MultiDict(a=1))
    assert proxy["a"] == 1 and "b" not in proxy and repr(proxy) == "<MultiDictProxy('a': 1)>"
    headers.popall("set-cookie")
    assert headers.getall("accept") == ["*/*"] and "set-cookie" not in headers
