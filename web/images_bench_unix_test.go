//go:build unix

package web

import (
	"context"
	"io"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/catalog"
)

// BenchmarkImages measures the first call of a function on a node: when the image is made there,
// and when it is copied from another one. The processor time is that of both nodes.
func BenchmarkImages(b *testing.B) {
	nodes := startNodes(b, 2)
	create(b, nodes, "telling", telling, catalog.VersionSpec{})
	copied := NewPeers(nodes[1].cluster).Image
	for name, source := range map[string]func(context.Context, *catalog.Version, string) (io.ReadCloser, error){
		"copied": copied,
		"made":   func(context.Context, *catalog.Version, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist },
	} {
		b.Run(name, func(b *testing.B) {
			nodes[1].host.Runner().ShareImages(source)
			before := processorTime(b)
			for b.Loop() {
				nodes[1].forgetImages(b)
				nodes[1].here(b, "telling")
			}
			cpu := processorTime(b) - before
			b.ReportMetric(float64(cpu.Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkCluster_InTurn measures 360 calls of 60 functions at three nodes in turn, with their NATS
// server and the callers.
func BenchmarkCluster_InTurn(b *testing.B) {
	const functions, calls = 60, 360
	for b.Loop() {
		b.StopTimer()
		nodes := startNodes(b, 3)
		createMany(b, nodes, functions)
		b.StartTimer()
		before := processorTime(b)
		cold := callInTurn(b, nodes, functions, calls)
		b.ReportMetric((processorTime(b) - before).Seconds(), "cpu-s")
		b.ReportMetric(float64(cold), "cold-starts")
	}
}

// processorTime returns what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
