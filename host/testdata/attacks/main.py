# The entry point of every attack. "well" is the call of an honest caller.
import attack


def handler(event, context):
    if event == "well":
        return "well"
    return attack.attack(event, context)
