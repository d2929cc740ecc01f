from loguru import logger


def handler(event, context):
    lines = []
    logger.remove()
    logger.add(lines.append, format="{level} {message} {extra}")
    logger.bind(user="a").warning("low {}", 5)
    return [str(line) for line in lines]
