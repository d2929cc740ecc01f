package rewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRewrite feeds garbage: nothing may panic, every refusal is a SyntaxError within the input, and what compiles
// before compiles after.
func FuzzRewrite(f *testing.F) {
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(files) == 0 {
		f.Fatal("no modules in testdata", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add((&generator{src: []byte("any")}).module())
	f.Fuzz(func(t *testing.T, module []byte) {
		checkGarbage(t, newHost(t), module)
	})
}

func checkGarbage(t *testing.T, h *host, module []byte) {
	t.Helper()
	ctx := context.Background()
	for _, o := range []Options{{MaxMemory: 1 << 20, KeepNames: true}, {MaxMemory: 1 << 20, Omit: OmitFusing}} {
		r, err := Rewrite(module, o)
		if err != nil {
			if syntax, ok := errors.AsType[*SyntaxError](err); !ok || syntax.Offset < 0 || syntax.Offset > len(module) {
				t.Fatalf("refused with %v", err)
			}
			continue
		}
		before, err := h.rt.CompileModule(ctx, module)
		if err != nil {
			continue
		}
		_ = before.Close(ctx)
		after, err := h.rt.CompileModule(ctx, r.Module)
		if err != nil {
			t.Fatalf("compiled before, but not after: %v", err)
		}
		_ = after.Close(ctx)
	}
}

// FuzzRewrite_SameBehaviour generates modules from the input, and runs them as
// they are and rewritten.
func FuzzRewrite_SameBehaviour(f *testing.F) {
	random := rand.NewChaCha8([32]byte{1})
	for n := range 8 {
		seed := make([]byte, 50<<n)
		_, _ = random.Read(seed)
		f.Add(seed, byte(n))
	}
	f.Fuzz(func(t *testing.T, src []byte, way byte) {
		if len(src) > 20_000 {
			t.Skip("too long")
		}
		checkBehaviour(t, newHost(t), src, way)
	})
}

func checkBehaviour(t *testing.T, h *host, src []byte, way byte) {
	t.Helper()
	module := (&generator{src: src}).module()
	o := Options{Budget: []int32{2, 3, 50, DefaultBudget}[way%4], Omit: Parts(way>>2) & OmitFusing}
	h.yield = func() int32 { return int32(h.yields%9) - 1 }
	plain := h.start(t, module, nil)
	m, _ := h.startRewritten(t, module, o)
	for _, arg := range []uint64{0, 5} {
		results, failure := call(plain, "run", arg, arg+1)
		want := fmt.Sprint(results, failure)
		results, failure = call(m, "run", arg, arg+1)
		if got := fmt.Sprint(results, failure); got != want {
			t.Fatalf("run(%d) = %s, want %s", arg, got, want)
		}
		for _, g := range []string{"g0", "g1", "g2"} {
			if got, want := m.ExportedGlobal(g).Get(), plain.ExportedGlobal(g).Get(); got != want {
				t.Fatalf("%s = %d, want %d", g, got, want)
			}
		}
		before, _ := plain.Memory().Read(0, 1<<16)
		if after, _ := m.Memory().Read(0, 1<<16); !bytes.Equal(before, after) {
			t.Fatal("memory differs")
		}
	}
	_ = plain.Close(context.Background())
	_ = m.Close(context.Background())
}

// TestRewrite_SameBehaviour runs some hundred generated modules in each test run, and damages some good ones.
func TestRewrite_SameBehaviour(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	h := newHost(t)
	for i := range 300 {
		checkBehaviour(t, h, bytesOf(20+random.IntN(3000)), byte(i))
	}
	for range 500 {
		module := (&generator{src: bytesOf(200)}).module()
		for range 1 + random.IntN(4) {
			module[random.IntN(len(module))] ^= 1 << random.IntN(8)
		}
		checkGarbage(t, h, module[:len(module)-random.IntN(2)*random.IntN(len(module))])
	}
}
