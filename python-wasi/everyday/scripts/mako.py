from mako.template import Template


def handler(event, context):
    return Template("% for n in range(3):\n${n}-${x | h}\n% endfor\n<%def name='f()'>F</%def>${f()}").render(x="<")
