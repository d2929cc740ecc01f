import io

from dotenv import dotenv_values


def handler(event, context):
    return dict(dotenv_values(stream=io.StringIO("A=1\nexport B='x y' # c\nC=${A}2\n")))
