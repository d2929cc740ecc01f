"""A handler for a trigger. Triggers call in raw mode: the event is the bare
message, and the result is not interpreted.

    vivarium run examples/timer --event-sample timer
"""


def handler(event, context):
    for message in event.get('messages', []):
        when = message['event_metadata']['created_at']
        print(f'{when}: the timer says {message["details"]["payload"]!r}')
    return {'handled': len(event.get('messages', []))}
