package wasm

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"hash"

	"github.com/tetratelabs/wazero/api"
)

// algorithm is a hash whose blocks the host processes for guests: WebAssembly has none of
// the processor's instructions for them.
type algorithm struct {
	create func() hash.Hash
	words  int // of the state
	size   int // bytes of a word
}

// algorithms are those of vivarium.digest, by their numbers.
var algorithms = map[uint32]algorithm{
	1:   {sha1.New, 5, 4},
	256: {sha256.New, 8, 4},
	512: {sha512.New, 8, 8},
}

// stateAt is where the words begin in a state as Go's hashes marshal it: after a magic
// number. They are big-endian, and the guest's little-endian.
const stateAt = 4

// digest is vivarium.digest(algorithm, state, ptr, blocks) -> errno: the state becomes
// that after so many blocks more.
func digest(ctx context.Context, m api.Module, stack []uint64) {
	stack[0] = uint64(instanceOf(ctx).digest(m.Memory(), api.DecodeU32(stack[0]), api.DecodeU32(stack[1]),
		api.DecodeU32(stack[2]), api.DecodeU32(stack[3])))
}

func (i *Instance) digest(m api.Memory, number, state, ptr, blocks uint32) uint32 {
	a, ok := algorithms[number]
	if !ok {
		return einval
	}
	h := a.create()
	size := uint64(blocks) * uint64(h.BlockSize())
	if size != uint64(uint32(size)) {
		return efault
	}
	words, err := guestBytes(m, state, uint32(a.words*a.size))
	if err != nil {
		return efault
	}
	data, err := guestBytes(m, ptr, uint32(size))
	if err != nil {
		return efault
	}
	kept, err := h.(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil {
		panic(err) // a new hash of the standard library has a state
	}
	swapWords(kept[stateAt:], words, a.size)
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(kept); err != nil {
		panic(err) // any words are a state
	}
	for len(data) > 0 {
		part := data[:min(len(data), portion)]
		_, _ = h.Write(part) // never fails
		data = data[len(part):]
		i.did(len(part))
	}
	if kept, err = h.(encoding.BinaryAppender).AppendBinary(kept[:0]); err != nil {
		panic(err)
	}
	swapWords(words, kept[stateAt:], a.size)
	i.did(digestWork)
	return 0
}

// digestWork is what a call costs besides the blocks, in bytes.
const digestWork = 256

// swapWords copies all words that fit from one order of bytes to the other.
func swapWords(to, from []byte, size int) {
	for n := 0; n+size <= min(len(to), len(from)); n += size {
		if size == 4 {
			binary.BigEndian.PutUint32(to[n:], binary.LittleEndian.Uint32(from[n:]))
		} else {
			binary.BigEndian.PutUint64(to[n:], binary.LittleEndian.Uint64(from[n:]))
		}
	}
}
