import six
from six.moves.urllib.parse import quote


def handler(event, context):
    assert six.PY3 and six.ensure_str(b"a") == "a"
    assert quote("ä") == "%C3%A4"
