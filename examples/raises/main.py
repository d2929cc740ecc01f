"""A handler that fails. The caller gets status 502 and the error as JSON; the
terminal shows the traceback."""

songs = {'title': 'Ode to Joy'}


def handler(event, context):
    return {'statusCode': 200, 'body': songs['lyrics']}
