package profile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// memory is a guest's.
type memory []byte

func (m memory) Read(at, n uint32) ([]byte, bool) {
	if uint64(at)+uint64(n) > uint64(len(m)) {
		return nil, false
	}
	return m[at : at+n], true
}

// Whatever a guest has in its memory, reading it ends, and soon.
func TestObserve_AnyMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 600 {
		m := make(memory, 4<<20)
		if n%3 == 0 { // addresses that lead somewhere
			for i := 0; i < 1<<20; i += 4 {
				binary.LittleEndian.PutUint32(m[i:], r.Uint32N(1<<16))
			}
		} else {
			for i := range 1 << 12 {
				m[i] = byte(r.Uint32())
			}
		}
		copy(m[64:], cookie)
		binary.LittleEndian.PutUint64(m[64+8:], 0x030d05f0)
		for i := 2; i < offsets; i++ {
			binary.LittleEndian.PutUint64(m[64+8*i:], r.Uint64N(256))
			if n%5 == 0 {
				binary.LittleEndian.PutUint64(m[64+8*i:], r.Uint64())
			}
		}
		p := New()
		for range 3 {
			p.Observe(m)(time.Millisecond, false)
		}
		if p.python.runtime != 64 {
			t.Fatal("the interpreter is not found")
		}
		if err := p.Write(io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []memory{nil, make(memory, 100), make(memory, 3<<20), append(make(memory, 1<<20), cookie...)} {
		p := New()
		p.Observe(m)(time.Millisecond, true)
		if p.python.runtime != 0 || len(p.order) != 1 || p.order[0].waiting != time.Millisecond {
			t.Errorf("of %d bytes: %+v", len(m), p.order)
		}
	}
}

func TestProfile_IsBounded(t *testing.T) {
	p := New()
	for n := range maxStacks + 100 {
		p.of([]Frame{{Line: n}}).samples++
	}
	if len(p.order) > maxStacks+1 {
		t.Errorf("there are %d stacks", len(p.order))
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil || b.Len() == 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

// A tree has each line once below the line that called it, with the time of all below.
func TestTree_AddsUp(t *testing.T) {
	outer, loop, lock := Frame{"handler", "main.py", 3}, Frame{"work", "main.py", 7}, Frame{"wait", "main.py", 9}
	p := New()
	for _, s := range []struct {
		stack              []Frame
		computing, waiting time.Duration
	}{
		{[]Frame{lock, outer}, 0, 5 * time.Millisecond},
		{[]Frame{loop, outer}, 3 * time.Millisecond, 0},
		{[]Frame{lock, loop, outer}, time.Millisecond, 4 * time.Millisecond},
		{[]Frame{lock}, 0, 0},
	} {
		of := p.of(s.stack)
		of.computing, of.waiting = s.computing, s.waiting
	}
	want := []Line{
		{outer, 0, 4 * time.Millisecond, 9 * time.Millisecond},
		{loop, 1, 4 * time.Millisecond, 4 * time.Millisecond},
		{lock, 2, time.Millisecond, 4 * time.Millisecond},
		{lock, 1, 0, 5 * time.Millisecond},
	}
	if got := p.Tree(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := New().Tree(); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestTree_IsBounded(t *testing.T) {
	p := New()
	outer := Frame{Function: strings.Repeat("ж", 300), File: "main.py"}
	for n := range 3 * MaxLines {
		s := p.of([]Frame{{Line: n + 1}, {Line: n % 7}, outer})
		s.computing = time.Duration(n+1) * time.Microsecond
	}
	tree := p.Tree()
	if len(tree) != MaxLines {
		t.Errorf("there are %d lines", len(tree))
	}
	const all = 3 * MaxLines * (3*MaxLines + 1) / 2 * time.Microsecond
	first := tree[0]
	name := first.Function
	if first.Computing != all || !utf8.ValidString(name) || len(name) > maxText || !strings.HasPrefix(name, "…ж") {
		t.Errorf("the outermost is %+v", first)
	}
	for _, l := range tree {
		if l.Depth == 2 && l.Computing < time.Duration(2*MaxLines)*time.Microsecond {
			t.Errorf("%+v is there, of which there are longer ones", l)
		}
	}
}

func TestCode_Line(t *testing.T) {
	c := code{first: 10, table: []byte{
		0x80 | 10<<3, 1, 2, // the same line, one instruction
		0x80 | 11<<3 | 1, 1, 2, // the next one, two
		0x80 | 15<<3,                 // none
		0x80 | 14<<3 | 7, 7, 0, 1, 1, // three lines back, eight instructions
		0x80 | 13<<3, 0x40 | 8, 1, // 36 on
		0x80 | 3<<3, 5, // the same
	}}
	for at, want := range []int{10, 11, 11, 0, 8, 8, 8, 8, 8, 8, 8, 8, 44, 44, 0} {
		if got := c.line(uint32(at)); got != want {
			t.Errorf("instruction %d is of line %d, want %d", at, got, want)
		}
	}
	for _, table := range [][]byte{{0x80}, {0}, {0xf0, 0x7f, 0x7f}, bytes.Repeat([]byte{0x7f}, 1000), bytes.Repeat([]byte{0xff}, 1000)} {
		(&code{table: table}).line(1 << 31)
	}
}
