import json


def handler(event, context):
    """Answers with what the expression in the header X-Show is worth, as JSON."""
    return {'body': json.dumps(eval(event['headers']['X-Show']))}
