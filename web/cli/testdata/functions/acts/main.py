"""Behaves well or badly, as ?do= asks."""

import json
import os
import sys
import time


def raise_text():
    raise ValueError('ошибка «é» 🐍')


def unencodable():
    return {'statusCode': 200, 'body': {1, 2}}


def surrogate():
    return {'body': '\ud800'}


def not_a_response():
    return 'just text'


def loop():
    while True:
        pass


def recurse():
    def down(n):
        return down(n + 1) + 1

    return {'body': str(down(0))}


def nest():
    value = []
    for _ in range(1_000_000):
        value = [value]
    return {'body': json.dumps(value)}


def sys_exit():
    sys.exit(3)


def os_exit():
    os._exit(4)


def allocate():
    blocks = []
    while True:
        blocks.append(bytes(1 << 20))


def allocate_and_catch():
    try:
        allocate()
    except MemoryError:
        return {'body': 'caught'}


def print_much():
    for _ in range(10):
        print('x' * (1 << 20))
    return {'body': 'printed'}


def large():
    return {'body': 'x' * 4_000_000}


def sleep():
    time.sleep(15)
    return {'body': 'slept'}


def well():
    return {'body': 'well'}


def handler(event, context):
    return globals()[event['queryStringParameters'].get('do', 'well')]()
