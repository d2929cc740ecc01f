import yaml

TEXT = "name: example\nitems: [1, 2.5, yes, null, 2026-01-02]\ntext: |\n  two\n  lines\nanchor: &a {x: 1}\nagain: *a\n"


def handler(event, context):
    assert yaml.__with_libyaml__
    value = yaml.load(TEXT, Loader=yaml.CSafeLoader)
    assert value == yaml.safe_load(TEXT)
    assert value["text"] == "two\nlines\n" and value["again"] == {"x": 1}
    assert yaml.safe_load(yaml.dump(value, Dumper=yaml.CSafeDumper)) == value
    try:
        yaml.load("a: [", Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        assert error.problem_mark.line == 1
    else:
        raise AssertionError("no error")
