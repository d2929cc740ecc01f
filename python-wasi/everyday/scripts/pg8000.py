from pg8000.native import identifier, literal


def handler(event, context):
    return [identifier("a b"), literal("it's"), literal([1, None, True])]
