package host

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/store"
)

// BenchmarkJoin measures how long a node takes from connecting to the NATS server, which is
// in the same process, until it could take calls, by how many functions there are. Each has
// one version. The memory is what it holds then, besides the server's.
func BenchmarkJoin(b *testing.B) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: b.TempDir(), MaxPayload: 8 << 20, NoSigs: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	b.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		b.Fatal("the NATS server does not start")
	}
	join := func() *Host {
		st, err := store.Open(context.Background(), store.Config{URL: s.ClientURL(), CodeCache: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		h, err := New(Config{Engines: testEngines, Store: st, Clustered: true, ImageDir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		return h
	}
	leave := func(h *Host) {
		h.Close()
		h.cfg.Store.Close()
	}
	h := join()
	many := newCopies(b, h)
	leave(h)
	have := 1
	for _, count := range []int{1000, 10_000, 100_000} {
		many.make(b, s.ClientURL(), have, count)
		have = count
		b.Run(fmt.Sprint("functions=", count), func(b *testing.B) {
			held, computed := uint64(0), time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				before, began := heap(), processorTime(b)
				b.StartTimer()
				joined := join()
				b.StopTimer()
				computed += processorTime(b) - began
				held += heap() - before
				if n := joined.Stats().Functions; n != count {
					b.Fatalf("%d functions are known", n)
				}
				leave(joined)
				b.StartTimer()
			}
			b.ReportMetric(computed.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(held)/float64(b.N)/(1<<20), "MiB")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// copies makes many functions of one, in the store: faster than one makes functions.
type copies struct {
	id, name, version string
	records           map[string]string // by bucket
}

func newCopies(b *testing.B, h *Host) *copies {
	b.Helper()
	c, ctx := &copies{name: "template-000000", records: map[string]string{}}, b.Context()
	f, err := h.Catalog().CreateFunction(ctx, access.Operator, catalog.FunctionSpec{Name: c.name})
	if err != nil {
		b.Fatal(err)
	}
	v, err := h.Catalog().CreateVersion(ctx, access.Operator, f.ID, catalog.VersionSpec{Entrypoint: "main.handler"},
		archiveOf(b, "def handler(event, context):\n    return 1\n"), nil)
	if err != nil {
		b.Fatal(err)
	}
	c.id, c.version = f.ID, v.ID
	st := h.cfg.Store
	for name, get := range map[string]func() (store.Entry, error){
		"function": func() (store.Entry, error) { return st.Functions.Get(ctx, c.id) },
		"version":  func() (store.Entry, error) { return st.Versions.Get(ctx, c.version) },
	} {
		e, err := get()
		if err != nil {
			b.Fatal(err)
		}
		c.records[name] = string(e.Value)
	}
	return c
}

// make makes those from one number to another.
func (c *copies) make(b *testing.B, url string, from, to int) {
	b.Helper()
	ctx := b.Context()
	st, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	next := make(chan int)
	var making sync.WaitGroup
	for range 64 {
		making.Go(func() {
			for n := range next {
				id, version := catalog.NewID(catalog.FunctionPrefix), catalog.NewID(catalog.VersionPrefix)
				name := fmt.Sprintf("template-%06d", n)
				change := strings.NewReplacer(c.id, id, c.version, version, c.name, name)
				_, err := st.Versions.Create(ctx, version, []byte(change.Replace(c.records["version"])))
				if err == nil {
					_, err = st.Names.Create(ctx, name, []byte(id))
				}
				if err == nil {
					_, err = st.Functions.Create(ctx, id, []byte(change.Replace(c.records["function"])))
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	making.Wait()
}
