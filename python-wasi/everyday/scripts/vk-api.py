import vk_api
from vk_api.keyboard import VkKeyboard, VkKeyboardColor


def handler(event, context):
    keyboard = VkKeyboard(one_time=True)
    keyboard.add_button("Да", color=VkKeyboardColor.POSITIVE, payload={"a": 1})
    return [keyboard.get_keyboard(), vk_api.VkApi(token="t").api_version]
