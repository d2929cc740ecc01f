from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.helpers import escape_markdown


def handler(event, context):
    bot = Bot("1:a")
    update = Update.de_json({"update_id": 1, "message": {"message_id": 2, "date": 0, "text": "/a",
        "chat": {"id": 1, "type": "private"}, "from": {"id": 1, "is_bot": False, "first_name": "Анна"}}}, bot)
    keys = InlineKeyboardMarkup([[InlineKeyboardButton("да", callback_data="y")]])
    return [update.effective_user.full_name, update.message.text, keys.to_dict(), escape_markdown("a*b_", 2)]
