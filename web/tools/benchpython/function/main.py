"""The programs as a function, and as a process that answers lines of standard input."""

import json
import sys

import programs


def handler(event, context):
    return programs.repeat(event["program"], event["times"])


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(handler(json.loads(line), None)), flush=True)
