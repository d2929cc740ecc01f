"""The version of grpcio whose interface this is."""

__version__ = "1.85.3"
