"""A small JSON API: greets whom the request names.

    curl 'http://127.0.0.1:8080/api?name=Ann'
    curl -d '{"name": "Ann"}' 'http://127.0.0.1:8080/api'
"""

import base64
import json


def handler(event, context):
    try:
        wish = read_json(event) if event['body'] else {}
    except ValueError:
        return answer(400, {'error': 'the body is not JSON'})
    if not isinstance(wish, dict):
        return answer(400, {'error': 'the body is no JSON object'})

    name = wish.get('name') or event['queryStringParameters'].get('name', 'world')
    # What is printed goes to the function's log, never to the caller.
    print('greeting', name)
    return answer(200, {'greeting': f'Hello, {name}!', 'method': event['httpMethod']})


def read_json(event):
    """The body is text only when it was sent as application/json; else base64."""
    body = event['body']
    if event['isBase64Encoded']:
        body = base64.b64decode(body)
    return json.loads(body)


def answer(status, value):
    return {
        'statusCode': status,
        'headers': {'Content-Type': 'application/json'},
        'body': json.dumps(value, ensure_ascii=False),
    }
