from itsdangerous import BadSignature, URLSafeSerializer


def handler(event, context):
    signer = URLSafeSerializer("secret", "salt")
    token = signer.dumps({"a": [1, "ё"]})
    try:
        signer.loads(token + "x")
    except BadSignature as error:
        return [token, signer.loads(token), type(error).__name__]
