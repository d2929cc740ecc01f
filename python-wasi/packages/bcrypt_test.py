import bcrypt


def handler(event, context):
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4))
    assert bcrypt.checkpw(b"secret", hashed) and not bcrypt.checkpw(b"other", hashed)
    assert bcrypt.gensalt() != bcrypt.gensalt()
    # A vector of OpenBSD's.
    salt = b"$2b$04$cVWp4XaNU8a4v1uMRum2SO"
    assert bcrypt.hashpw(b"mypass", salt) == bcrypt.hashpw(b"mypass", salt) != hashed
    assert len(bcrypt.kdf(b"secret", b"salt", 32, 4)) == 32
