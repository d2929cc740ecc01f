import json
import os
import sys


def handler(event, context):
    """Answers with what the expression in the header X-Show is worth, as JSON."""
    try:
        return {'body': json.dumps(eval(event['headers']['X-Show'], globals()))}
    except OSError as error:
        return {'statusCode': 409, 'body': f'{type(error).__name__}: {error}'}
