from aiogram import Bot, Dispatcher, F, Router
from aiogram.filters import Command
from aiogram.types import Message, Update

router, seen = Router(), []


@router.message(Command("start"))
async def start(message: Message):
    seen.append(["start", message.from_user.first_name])


@router.message(F.text)
async def text(message: Message):
    seen.append(["text", message.text])


async def handler(event, context):
    bot, dispatcher = Bot("1:a"), Dispatcher()
    if router.parent_router is None:
        dispatcher.include_router(router)
    for n, words in enumerate(["/start", "привет"]):
        await dispatcher.feed_update(bot, Update.model_validate({"update_id": n, "message": {
            "message_id": n, "date": 0, "chat": {"id": 1, "type": "private"}, "text": words,
            "from": {"id": 1, "is_bot": False, "first_name": "Анна"},
            "entities": [{"type": "bot_command", "offset": 0, "length": 6}] if words[0] == "/" else None}}))
    return seen
