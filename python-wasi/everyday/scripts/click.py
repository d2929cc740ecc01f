import click
from click.testing import CliRunner


@click.command()
@click.option("--count", type=click.IntRange(1, 3), default=1)
@click.argument("name")
def greet(count, name):
    click.echo(f"{name}!" * count)


def handler(event, context):
    runs = [CliRunner().invoke(greet, words) for words in (["--count", "2", "анна"], ["--count", "9", "x"])]
    return [[r.exit_code, r.output] for r in runs]
