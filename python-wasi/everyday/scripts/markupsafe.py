from markupsafe import Markup, escape


def handler(event, context):
    return [str(escape("<a href='x'>&")), Markup("<b>%s</b>") % "<", Markup("<i>a</i>&lt;").striptags(), escape(Markup("<"))]
