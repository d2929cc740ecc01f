import datetime

from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json, to_json


def handler(event, context):
    validator = SchemaValidator(
        core_schema.typed_dict_schema(
            {
                "name": core_schema.typed_dict_field(core_schema.str_schema(pattern="^[a-z]+$")),
                "when": core_schema.typed_dict_field(core_schema.datetime_schema()),
                "site": core_schema.typed_dict_field(core_schema.url_schema()),
            }
        )
    )
    value = validator.validate_json('{"name": "abc", "when": "2024-02-29T12:00:00Z", "site": "https://пример.рф/"}')
    assert value["when"] == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    assert str(value["site"]) == "https://xn--e1afmkfd.xn--p1ai/"
    try:
        validator.validate_python({"name": "ABC", "when": "never", "site": "?"})
    except ValidationError as error:
        assert [e["type"] for e in error.errors()] == ["string_pattern_mismatch", "datetime_from_date_parsing", "url_parsing"]
    else:
        raise AssertionError("took what is wrong for right")
    assert to_json(from_json('[1, 2.5, null, "ü", 123456789012345678901234567890]')) == (
        '[1,2.5,null,"ü",123456789012345678901234567890]'.encode()
    )
