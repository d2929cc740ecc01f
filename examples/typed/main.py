"""A handler with types, which an editor completes and a type checker checks:

    pip install ./python-wasi mypy
    mypy --strict examples/typed/main.py

    curl -d '{"numbers": [1, 2, 3]}' -H 'Content-Type: application/json' http://127.0.0.1:8080/typed
"""

import json

from vivarium import Context, HttpEvent, HttpResponse, TimerDetails, TriggerEvent


def handler(event: HttpEvent, context: Context) -> HttpResponse:
    if event['isBase64Encoded']:
        return {'statusCode': 415, 'body': 'send application/json'}
    numbers: list[float] = json.loads(event['body'])['numbers']
    return {
        'headers': {'Content-Type': 'application/json'},
        'body': json.dumps({
            'sum': sum(numbers),
            'caller': event['requestContext']['identity']['sourceIp'],
            'left_ms': context.get_remaining_time_in_millis(),
            'acts_for_somebody': context.token is not None,
        }),
    }


async def on_timer(event: TriggerEvent[TimerDetails], context: Context) -> list[str]:
    """Another entry point of the same file, main.on_timer, for a timer."""
    return [message['details']['payload'] for message in event['messages']]
