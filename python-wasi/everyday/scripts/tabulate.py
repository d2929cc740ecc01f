from tabulate import tabulate


def handler(event, context):
    return tabulate([["a", 1.5], ["ё", 22]], headers=["k", "v"], tablefmt="github")
