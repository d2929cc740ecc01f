"""What generated code asks for."""

from __future__ import annotations

import re


def first_version_is_lower(first: str, second: str) -> bool:
    """Whether a version is lower than another; False if one is none."""
    return _numbers(first) < _numbers(second) if _numbers(first) and _numbers(second) else False


def _numbers(version: str) -> list[int]:
    match = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in match[0].split(".")] if match else []
