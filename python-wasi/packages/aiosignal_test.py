from aiosignal import Signal


async def handler(event, context):
    heard = []

    async def hear(value):
        heard.append(value)

    signal = Signal(context)
    signal.append(hear)
    signal.freeze()
    await signal.send(1)
    assert heard == [1]
