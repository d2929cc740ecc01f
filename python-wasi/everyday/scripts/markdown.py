import markdown


def handler(event, context):
    return markdown.markdown("# Т\n\n* a\n* **b**\n\n|x|y|\n|-|-|\n|1|2|\n", extensions=["tables", "toc"])
