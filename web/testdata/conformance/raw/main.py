def handler(event, context):
    """Answers with the type of what it got, and with that."""
    return [type(event).__name__, list(event) if isinstance(event, bytes) else event]
