// Drafts to start from.
import budget from '../../../cli/samples/budget.json';
import cloudLogging from '../../../cli/samples/cloud-logging.json';
import containerRegistry from '../../../cli/samples/container-registry.json';
import dataStreams from '../../../cli/samples/data-streams.json';
import email from '../../../cli/samples/email.json';
import iot from '../../../cli/samples/iot.json';
import messageQueue from '../../../cli/samples/message-queue.json';
import objectStorage from '../../../cli/samples/object-storage.json';
import timer from '../../../cli/samples/timer.json';
import type { Draft } from './run';

/** Example is a draft with a name. */
export interface Example {
  id: string;
  title: string;
  draft: Partial<Draft>;
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

/** blank has the defaults of examples. */
export const blank: Draft = {
  code: '',
  files: {},
  environment: '',
  mode: 'http',
  request: {
    method: 'POST',
    query: 'name=Ann',
    headers: { 'Content-Type': 'application/json' },
    body: '{"hello": "world"}',
  },
  event: '{\n  "hello": "world"\n}',
  memoryMB: 128,
  timeoutMS: 3000,
};

/** samples are events as triggers send them. */
export const samples: { id: string; title: string; event: string }[] = [
  { id: 'hello', title: 'Hello', event: blank.event },
  { id: 'timer', title: 'Timer', event: json(timer) },
  { id: 'object-storage', title: 'Object storage', event: json(objectStorage) },
  { id: 'message-queue', title: 'Message queue', event: json(messageQueue) },
  { id: 'data-streams', title: 'Data streams', event: json(dataStreams) },
  { id: 'cloud-logging', title: 'Cloud logging', event: json(cloudLogging) },
  { id: 'iot', title: 'IoT', event: json(iot) },
  { id: 'container-registry', title: 'Container registry', event: json(containerRegistry) },
  { id: 'budget', title: 'Budget', event: json(budget) },
  { id: 'email', title: 'E-mail', event: json(email) },
];

/** examples are the menu's; the first one is shown at the start. */
export const examples: Example[] = [
  {
    id: 'hello',
    title: 'Hello',
    draft: {
      code: `import json


def handler(event, context):
    name = event['queryStringParameters'].get('name', 'world')
    print('greeting', name)
    return {
        'statusCode': 200,
        'headers': {'Content-Type': 'application/json'},
        'body': json.dumps({'greeting': f'Hello, {name}!'}),
    }
`,
    },
  },
  {
    id: 'script',
    title: 'A script, without a handler',
    draft: {
      code: `# Code that defines no handler is run from top to bottom.
squares = {n: n * n for n in range(1, 6)}
for n, square in squares.items():
    print(f'{n} squared is {square}')
`,
    },
  },
  {
    id: 'async',
    title: 'Async handler',
    draft: {
      code: `import asyncio
import time


async def step(name, seconds):
    print(name, 'begins')
    await asyncio.sleep(seconds)
    print(name, 'is done')
    return name


async def handler(event, context):
    start = time.monotonic()
    done = await asyncio.gather(*(step(f'task {n}', n / 10) for n in (3, 1, 2)))
    took = time.monotonic() - start
    return {'body': f'{", ".join(done)}: all in {took:.1f} s\\n'}
`,
    },
  },
  {
    id: 'http',
    title: 'HTTP: status and headers',
    draft: {
      code: `import html


def handler(event, context):
    # What the caller sent, and what it is told to do with the answer.
    agent = event['headers'].get('User-Agent', 'nobody')
    return {
        'statusCode': 418,
        'headers': {
            'Content-Type': 'text/html; charset=utf-8',
            'Cache-Control': 'no-store',
        },
        'multiValueHeaders': {'Set-Cookie': ['tea=green', 'cup=small']},
        'body': f'<h1>I am a teapot</h1><p>{html.escape(agent)}</p>\\n',
    }
`,
      request: { method: 'GET', query: '', headers: { 'User-Agent': 'playground' }, body: '' },
    },
  },
  {
    id: 'raw',
    title: 'Raw: the event of a trigger',
    draft: {
      mode: 'raw',
      event: json(messageQueue),
      code: `def handler(event, context):
    # Raw: the event is the body, the result goes out as JSON.
    for message in event['messages']:
        kind = message['event_metadata']['event_type']
        print('got', kind)
    return {
        'handled': len(event['messages']),
        'request': context.request_id,
        'left_ms': context.get_remaining_time_in_millis(),
    }
`,
    },
  },
  {
    id: 'image',
    title: 'An image as the answer',
    draft: {
      code: `import base64
import math
import struct
import zlib


def png(width, height, pixel):
    rows = b''.join(
        b'\\0' + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height)
    )

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def leaf(x, y):
    u, v = x / 80 - 1, y / 60 - 1
    wave = math.sin(7 * u + 3 * math.sin(4 * v)) + math.cos(6 * v)
    return int(60 + 25 * wave), int(130 + 50 * wave), int(95 + 30 * wave)


def handler(event, context):
    return {
        'headers': {'Content-Type': 'image/png'},
        'isBase64Encoded': True,
        'body': base64.b64encode(png(160, 120, leaf)).decode(),
    }
`,
    },
  },
  {
    id: 'error',
    title: 'An error, with its line',
    draft: {
      code: `prices = {'apple': 3, 'pear': 4}


def total(order):
    return sum(prices[item] * n for item, n in order.items())


def handler(event, context):
    print('adding up')
    return {'body': str(total({'apple': 2, 'plum': 1}))}
`,
    },
  },
  {
    id: 'timeout',
    title: 'A loop without end',
    draft: {
      timeoutMS: 1000,
      code: `def handler(event, context):
    print('I have', context.get_remaining_time_in_millis(), 'ms')
    while True:
        pass
`,
    },
  },
  {
    id: 'memory',
    title: 'More memory than there is',
    draft: {
      code: `def handler(event, context):
    taken = []
    try:
        while True:
            taken.append(bytearray(8 << 20))
    except MemoryError:
        had = len(taken) * 8
        taken.clear()
    print('there were', had, 'MB of', context.memory_limit_in_mb)
    return {'body': f'{had} MB, and no more\\n'}
`,
    },
  },
];

/** draftOf returns the complete draft of an example. */
export function draftOf(example: Example): Draft {
  return { ...blank, ...example.draft };
}
