from yarl import URL, _quoting, _quoting_c


def handler(event, context):
    assert _quoting._Quoter is _quoting_c._Quoter
    url = URL("https://user:secret@пример.рф:8443/a b/ё?q=1&q=два#end")
    assert url.raw_path == "/a%20b/%D1%91" and url.path == "/a b/ё"
    assert url.query.getall("q") == ["1", "два"]
    assert url.host == "пример.рф" and url.raw_host == "xn--e1afmkfd.xn--p1ai"
    assert str(URL("http://x/a/") / "b" % {"c": "d e"}) == "http://x/a/b?c=d+e"
