import base64
import logging
import os
import sys


def handler(event, context):
    """Executes the Python text in the request's body."""
    exec(base64.b64decode(event['body']), globals())
    return {}
