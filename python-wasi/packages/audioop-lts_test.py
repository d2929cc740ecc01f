import audioop
import struct


def handler(event, context):
    tone = struct.pack("<4h", 0, 1000, -1000, 30000)
    assert audioop.max(tone, 2) == 30000 and audioop.rms(tone, 2) == 15016
    assert audioop.mul(tone, 2, 2) == struct.pack("<4h", 0, 2000, -2000, 32767)
    assert audioop.lin2lin(tone, 2, 4) == struct.pack("<4i", *(n << 16 for n in (0, 1000, -1000, 30000)))
    assert audioop.ulaw2lin(audioop.lin2ulaw(tone, 2), 2) != b""
    converted, state = audioop.ratecv(tone, 2, 1, 8000, 16000, None)
    assert len(converted) > len(tone) and audioop.ratecv(tone, 2, 1, 8000, 16000, state)
    try:
        audioop.add(tone, tone[:2], 2)
    except audioop.error as error:
        assert str(error) == "Lengths should be the same"
    else:
        raise AssertionError("added what differs in length")
