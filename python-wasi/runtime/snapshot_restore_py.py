"""The two snapshot hooks under the name that functions from AWS Lambda import."""

from vivarium import register_after_restore, register_before_snapshot

__all__ = ["register_after_restore", "register_before_snapshot"]
