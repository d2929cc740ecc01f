import io

from rich.console import Console
from rich.table import Table


def handler(event, context):
    table = Table(title="Т")
    table.add_column("a")
    table.add_row("[bold]1[/]")
    file = io.StringIO()
    Console(file=file, width=40).print(table)
    return file.getvalue()
