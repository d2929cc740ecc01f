import bcrypt


def handler(event, context):
    salt = b"$2b$04$cVWp4XaNU8a4v1uMRum2SO"
    return [bcrypt.hashpw(b"secret", salt).decode(), bcrypt.checkpw(b"x", bcrypt.hashpw(b"x", salt)), bcrypt.kdf(b"p", b"s", 16, 4).hex()]
