import phonenumbers


def handler(event, context):
    number = phonenumbers.parse("8 (912) 345-67-89", "RU")
    return [phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), phonenumbers.is_valid_number(number)]
