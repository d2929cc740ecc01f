"""The programs as a function, and as a process that answers lines of standard input."""

import json
import sys

import programs
import suite


def handler(event, context):
    where = suite if event["program"] in suite.PROGRAMS else programs
    return where.repeat(event["program"], event["times"])


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(handler(json.loads(line), None)), flush=True)
