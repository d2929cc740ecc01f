"""Where grpc.aio was before."""

from __future__ import annotations

from ..aio import *  # noqa: F403
from ..aio import __all__ as __all__
