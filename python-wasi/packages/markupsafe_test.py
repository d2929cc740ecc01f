import markupsafe
from markupsafe import _speedups


def handler(event, context):
    assert _speedups.__spec__.origin == "built-in"
    assert markupsafe._escape_inner is _speedups._escape_inner
    assert markupsafe.escape("<a href='x'>") == "&lt;a href=&#39;x&#39;&gt;"
    assert markupsafe.Markup("<b>%s</b>") % "&" == "<b>&amp;</b>"
