"""Modules of the standard library that are imported when the guest boots.

Two kinds: those that nearly every function imports, and those that draw
randomness or read the clock when they are imported. If a function's own import
had to import one of the latter, it could not be frozen.
"""

import asyncio  # noqa: F401
import base64  # noqa: F401
import collections  # noqa: F401
import concurrent.futures.thread  # noqa: F401
import contextlib  # noqa: F401
import contextvars  # noqa: F401
import dataclasses  # noqa: F401
import datetime  # noqa: F401
import functools  # noqa: F401
import inspect  # noqa: F401
import json  # noqa: F401
import logging  # noqa: F401
import random  # noqa: F401
import re  # noqa: F401
import secrets  # noqa: F401
import statistics  # noqa: F401
import tempfile  # noqa: F401
import time  # noqa: F401
import traceback  # noqa: F401
import types  # noqa: F401
import typing  # noqa: F401
import uuid  # noqa: F401
