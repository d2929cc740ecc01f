from marshmallow import Schema, ValidationError, fields, post_load, validate


class Person(Schema):
    name = fields.Str(required=True, validate=validate.Length(min=2))
    born = fields.Date()
    mail = fields.Email()

    @post_load
    def upper(self, data, **kwargs):
        return {**data, "name": data["name"].upper()}


def handler(event, context):
    try:
        Person().load({"name": "a", "mail": "x"})
    except ValidationError as error:
        wrong = error.messages
    return [wrong, Person().dump(Person().load({"name": "anna", "born": "2000-01-02"}))]
