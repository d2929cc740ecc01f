import datetime

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509.oid import NameOID


def fails(error, function, *args):
    try:
        function(*args)
    except error:
        return
    raise AssertionError(f"{function} did not fail")


def signatures():
    """What PyJWT uses for RS256, PS256, ES256 and EdDSA."""
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    for scheme in padding.PKCS1v15(), pss:
        signature = key.sign(b"text", scheme, hashes.SHA256())
        key.public_key().verify(signature, b"text", scheme, hashes.SHA256())
        fails(InvalidSignature, key.public_key().verify, signature, b"other", scheme, hashes.SHA256())
    curve = ec.generate_private_key(ec.SECP256R1())
    curve.public_key().verify(curve.sign(b"text", ec.ECDSA(hashes.SHA256())), b"text", ec.ECDSA(hashes.SHA256()))
    edwards = ed25519.Ed25519PrivateKey.generate()
    edwards.public_key().verify(edwards.sign(b"text"), b"text")
    pem = curve.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    assert serialization.load_pem_private_key(pem, b"secret").private_numbers() == curve.private_numbers()
    return curve


def ciphers():
    fernet = Fernet(Fernet.generate_key())
    assert fernet.decrypt(fernet.encrypt(b"text")) == b"text"
    fails(InvalidToken, fernet.decrypt, b"token")
    for cipher in AESGCM(bytes(32)), ChaCha20Poly1305(bytes(32)):
        assert cipher.decrypt(bytes(12), cipher.encrypt(bytes(12), b"text", b"head"), b"head") == b"text"
    one, two = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    assert one.exchange(two.public_key()) == two.exchange(one.public_key())
    assert len(HKDF(hashes.SHA256(), 32, None, b"").derive(b"key")) == 32
    # RFC 7914, section 12.
    assert Scrypt(b"NaCl", 64, 1024, 8, 16).derive(b"password").hex().startswith("fdbabe1c9d347200")


def certificates(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "пример")])
    now = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    read = x509.load_pem_x509_certificate(certificate.public_bytes(serialization.Encoding.PEM))
    assert read == certificate and read.subject.rfc4514_string() == "CN=пример"
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com"]
    read.verify_directly_issued_by(read)


def handler(event, context):
    key = signatures()
    ciphers()
    certificates(key)
    fails(InternalError, dsa.generate_private_key, 2048)
