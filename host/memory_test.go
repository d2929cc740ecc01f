package host

import (
	"testing"
	"time"

	"vivarium/host/catalog"
)

// searcher compares what memcmp, memchr and memrchr answer, through bytes, with what
// is right: at each length, begin, and place where something is.
const searcher = `
def handler(event, context):
    wrong = []
    for n in [*range(70), 127, 128, 129, 191, 192, 193, 1000]:
        for begin in (0, 1, 7):
            zeros = bytes(n)
            for place in range(n) if n < 200 else (0, 63, 64, 500, 998, 999):
                for byte in (1, 0x7f, 0x80, 0xff):
                    memory = bytearray(begin + n)
                    memory[begin + place] = byte
                    found = bytes(memory)[begin:]
                    twice = found[:-1] + bytes((byte,))
                    if found == zeros or zeros == found or not found > zeros or not zeros < found:
                        wrong.append(("compare", n, begin, place, byte))
                    if memory.find(byte, begin) != begin + place or found.find(byte) != place or twice.find(byte) != place:
                        wrong.append(("find", n, begin, place, byte))
                    if memory.rfind(byte, begin) != begin + place or found.rfind(byte) != place or twice.rfind(byte) != n - 1:
                        wrong.append(("rfind", n, begin, place, byte))
                    if found.find(byte ^ 0x55, 0, n) != -1 or found[:place].rfind(byte) != -1 or found[place + 1:].find(byte) != -1:
                        wrong.append(("nothing", n, begin, place, byte))
            if zeros != bytes(n) or zeros < bytes(n) or zeros > bytes(n):
                wrong.append(("equal", n, begin))
    return wrong[:5]
`

func TestPython_ComparesAndSearchesMemory(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("searcher", searcher, catalog.VersionSpec{Timeout: time.Minute, MemoryMB: 128})
	h.want("searcher", "null", "[]")
}
