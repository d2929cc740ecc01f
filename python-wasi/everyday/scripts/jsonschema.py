from jsonschema import Draft202012Validator

schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"$ref": "#/$defs/b"}},
          "$defs": {"b": {"enum": ["x", "y"]}}}


def handler(event, context):
    validator = Draft202012Validator(schema)
    return [sorted(e.message for e in validator.iter_errors(value)) for value in ({"a": 1}, {"a": 0, "b": "z"}, {}, [])]
