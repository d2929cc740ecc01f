import telebot
from telebot import types

bot, seen = telebot.TeleBot("1:a", threaded=False), []


@bot.message_handler(commands=["start"])
def start(message):
    seen.append(message.from_user.first_name)


def handler(event, context):
    bot.process_new_updates([types.Update.de_json({"update_id": 1, "message": {
        "message_id": 2, "date": 0, "text": "/start", "chat": {"id": 1, "type": "private"},
        "from": {"id": 1, "is_bot": False, "first_name": "Анна"},
        "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}})])
    return seen
