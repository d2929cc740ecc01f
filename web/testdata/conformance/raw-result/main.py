def handler(event, context):
    """Returns what the Python expression that it gets is worth."""
    return eval(event)
