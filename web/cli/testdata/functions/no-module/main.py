import missing_module


def handler(event, context):
    return {}
