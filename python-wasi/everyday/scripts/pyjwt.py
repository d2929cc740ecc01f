# requires: cryptography
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def handler(event, context):
    key, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    read = []
    for name, private, public in ("RS256", key, key.public_key()), ("PS256", key, key.public_key()), ("ES256", curve, curve.public_key()):
        read.append(jwt.decode(jwt.encode({"a": name}, private, name), public, [name]))
    try:
        jwt.decode(jwt.encode({"exp": 1}, "k" * 32, "HS256"), "k" * 32, ["HS256"])
    except jwt.ExpiredSignatureError as error:
        read.append(str(error))
    return [read, jwt.encode({"a": 1}, "k" * 32, "HS256")]
