from jinja2 import DictLoader, Environment, StrictUndefined, UndefinedError

pages = {"base": "<h1>{% block title %}{% endblock %}</h1>", "page": "{% extends 'base' %}{% block title %}{{ t|title }}{% endblock %}",
         "list": "{% for n in items if n is odd %}{{ loop.index }}:{{ n }}{{ ',' if not loop.last }}{% endfor %}"}


def handler(event, context):
    templates = Environment(loader=DictLoader(pages), autoescape=True, undefined=StrictUndefined)
    try:
        templates.get_template("page").render()
    except UndefinedError as error:
        wrong = str(error)
    return [templates.get_template("page").render(t="a <b>"), templates.get_template("list").render(items=range(6)), wrong]
