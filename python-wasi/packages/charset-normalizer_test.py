from charset_normalizer import from_bytes


def handler(event, context):
    text = "Всё это написано по-русски, и довольно длинно, чтобы угадать кодировку. " * 5
    assert str(from_bytes(text.encode("cp1251")).best()) == text
