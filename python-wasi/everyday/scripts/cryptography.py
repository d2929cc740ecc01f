from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def handler(event, context):
    key = rsa.generate_private_key(65537, 2048)
    signed = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
    key.public_key().verify(signed, b"text", padding.PKCS1v15(), hashes.SHA256())
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    mac = hmac.HMAC(b"key", hashes.SHA256())
    mac.update(b"text")
    pem = edwards.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    token = Fernet(b"A" * 43 + b"=").encrypt(b"text")
    return [edwards.sign(b"text").hex(), mac.finalize().hex(), pem.decode(), AESGCM(bytes(16)).encrypt(bytes(12), b"a", None).hex(),
            Fernet(b"A" * 43 + b"=").decrypt(token).decode()]
