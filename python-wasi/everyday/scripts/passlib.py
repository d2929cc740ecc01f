from passlib.hash import pbkdf2_sha256, sha512_crypt


def handler(event, context):
    made = pbkdf2_sha256.using(rounds=1000, salt=b"saltsalt").hash("secret")
    return [made, pbkdf2_sha256.verify("secret", made), sha512_crypt.using(rounds=1000, salt="salt").hash("x")]
