"""An asynchronous handler: it waits for several things at the same time."""

import asyncio
import json
import time


async def fetch(name, seconds):
    # Stands for a slow answer from somewhere else.
    await asyncio.sleep(seconds)
    return name


async def handler(event, context):
    start = time.monotonic()
    # One after the other these would take 0.6 s.
    names = await asyncio.gather(fetch('a', 0.1), fetch('b', 0.2), fetch('c', 0.3))
    elapsed = time.monotonic() - start
    return {
        'statusCode': 200,
        'headers': {'Content-Type': 'application/json'},
        'body': json.dumps({'names': names, 'elapsed': round(elapsed, 2)}),
    }
