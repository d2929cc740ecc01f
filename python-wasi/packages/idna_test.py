import idna


def handler(event, context):
    assert idna.encode("пример.рф") == b"xn--e1afmkfd.xn--p1ai"
    assert idna.decode("xn--e1afmkfd.xn--p1ai") == "пример.рф"
