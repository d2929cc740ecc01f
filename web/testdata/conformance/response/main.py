import base64


def handler(event, context):
    """Returns what the Python expression in the request's body is worth."""
    return eval(base64.b64decode(event['body']))
