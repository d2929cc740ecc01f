"""The compiler's place."""

from __future__ import annotations

from typing import NoReturn


def main(command_arguments: object) -> NoReturn:
    """There is no compiler here."""
    raise NotImplementedError("there is no compiler of .proto files; deploy the modules that it generates")
