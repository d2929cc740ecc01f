//go:build !linux

package sockets

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"vivarium/wasm/vfs"
)

// Interest is one of the host's sockets and the events to wait for.
type Interest struct {
	FD     int
	Events int16
}

// Waiter waits for sockets, which this system has none of: no Net connects.
type Waiter struct{}

// Wait blocks until ctx ends or the deadline, unless it is zero, passes.
func (*Waiter) Wait(ctx context.Context, deadline time.Time, _ []Interest) bool {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	<-ctx.Done()
	return false
}

// Close does nothing.
func (*Waiter) Close() {}

func poll(int, int16) int16                   { return 0 }
func receive(int, []byte, int) (int, error)   { return 0, errors.ErrUnsupported }
func send(int, []byte) (int, error)           { return 0, errors.ErrUnsupported }
func shutdown(int, int) error                 { return errors.ErrUnsupported }
func closeFD(int)                             {}
func socketError(int) vfs.Errno               { return 0 }
func localAddress(int) (netip.AddrPort, bool) { return netip.AddrPort{}, false }
func errno(error) vfs.Errno                   { return vfs.ENOTSUP }
func (option) set(int) vfs.Errno              { return vfs.ENOTSUP }
func optionOf(int, int, int) (int, vfs.Errno) { return 0, vfs.ENOTSUP }
