package host

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
	"time"

	"vivarium/host/catalog"
)

// hasher answers with the hash of zeros, added in parts of so many bytes.
const hasher = `
import hashlib

def handler(event, context):
    name, *sizes = event
    zeros = memoryview(bytes(max(sizes)))
    h = hashlib.new(name, zeros[:0])
    for n, size in enumerate(sizes):
        h.update(zeros[:size])
        if n == 0:
            h = h.copy()
    return h.hexdigest()
`

// Hashes of which the host does a part are the same as ever, wherever blocks begin and end.
func TestPython_HashesAreRight(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("hasher", hasher, catalog.VersionSpec{Timeout: time.Minute, MemoryMB: 256})
	cases := [][]int{
		{0}, {1}, {511, 1}, {512}, {513}, {1023, 1}, {1024}, {1025, 1024}, {1, 63 + 512, 512}, {100, 2000, 30, 70_000, 5},
		{64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 64<<20 + 1}, // more than 2³² bits
	}
	for range 20 {
		cases = append(cases, []int{rand.IntN(1000), rand.IntN(1000), rand.IntN(10_000), rand.IntN(1000)})
	}
	zeros := make([]byte, 64<<20+1)
	for name, create := range map[string]func() hash.Hash{
		"sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	} {
		for _, sizes := range cases {
			want := create()
			event := []any{name}
			for _, size := range sizes {
				want.Write(zeros[:size])
				event = append(event, size)
			}
			request, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			h.want("hasher", string(request), fmt.Sprintf("%q", hex.EncodeToString(want.Sum(nil))))
		}
	}
}
