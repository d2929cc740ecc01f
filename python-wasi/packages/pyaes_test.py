import pyaes


def handler(event, context):
    # FIPS 197, appendix C.1.
    key, plain = bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")
    sealed = pyaes.AESModeOfOperationECB(key).encrypt(plain)
    assert sealed.hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"
    assert pyaes.AESModeOfOperationCTR(key).decrypt(pyaes.AESModeOfOperationCTR(key).encrypt(b"text")) == b"text"
