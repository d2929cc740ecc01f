import yaml


def handler(event, context):
    text = yaml.safe_dump({"a": [1, {"b": "ё"}], "at": None}, allow_unicode=True)
    return [text, yaml.load("a: &x [1, 0x1f, yes]\nb: *x\n", yaml.CSafeLoader), yaml.__with_libyaml__]
