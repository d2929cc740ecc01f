//go:build !linux

package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"vivarium/wasm/sockets"
)

var errNotHere = &sockets.Refusal{Reason: "functions have a network only where Vivarium runs on Linux"}

// Direct refuses everything: only on Linux are sockets handed to functions.
type Direct struct{}

// Resolve implements Dialer.
func (Direct) Resolve(context.Context, string) ([]netip.Addr, error) { return nil, errNotHere }

// Connect implements Dialer.
func (Direct) Connect(context.Context, sockets.Kind, netip.AddrPort) (int, error) {
	return -1, errNotHere
}

func connectHere(func(net.Conn)) (*sockets.Conn, error) { return nil, errNotHere }

func serveMetadata(conn net.Conn, _ Metadata) { _ = conn.Close() }

// Broker does not exist on this system.
type Broker struct{ Direct }

// Close does nothing.
func (*Broker) Close() error { return nil }

// Ready returns nil.
func (*Broker) Ready() error { return nil }

// Allow returns false.
func (*Broker) Allow(context.Context, string, string) bool { return false }

// NewBroker returns an error.
func NewBroker(*os.File) (*Broker, error) { return nil, errors.ErrUnsupported }

// BrokerPair returns an error.
func BrokerPair() (asks, answers *os.File, err error) { return nil, nil, errors.ErrUnsupported }

// ServeBroker returns an error.
func ServeBroker(context.Context, *os.File, *Guard, func(context.Context, string, string) bool) error {
	return errors.ErrUnsupported
}
