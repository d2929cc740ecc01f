import regex


def handler(event, context):
    assert regex.fullmatch(r"\p{Cyrillic}+", "Привет")
    assert regex.findall(r"(?<=\w+)\d", "ab1c2") == ["1", "2"]
    assert regex.search(r"(?:cats|cat){e<=1}", "a cut")  # fuzzy
    assert regex.split(r"(?r)\s", "a b c", maxsplit=1)
    assert regex.sub(r"(?P<x>a)+", lambda m: str(len(m.captures("x"))), "aaab") == "3b"
    try:
        regex.search(r"(a+)+b", "a" * 40, timeout=0.1)
    except TimeoutError:
        pass
    try:
        regex.compile("(")
    except regex.error as error:
        assert error.pos == 1
    else:
        raise AssertionError("no error")
