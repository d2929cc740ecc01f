package sockets

import (
	"encoding/binary"
	"net/netip"

	"vivarium/wasm/vfs"
)

// Address families.
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// AddressSize is the size of the largest address.
const AddressSize = 28

// ParseAddress parses a struct sockaddr_in or sockaddr_in6. It drops scope ids,
// which name interfaces of the host.
func ParseAddress(b []byte) (netip.AddrPort, vfs.Errno) {
	if len(b) < 2 {
		return netip.AddrPort{}, vfs.EINVAL
	}
	switch family := binary.LittleEndian.Uint16(b); {
	case family == familyIPv4 && len(b) >= 8:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[2:])), 0
	case family == familyIPv6 && len(b) >= 24:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), binary.BigEndian.Uint16(b[2:])), 0
	case family == familyIPv4 || family == familyIPv6:
		return netip.AddrPort{}, vfs.EINVAL
	}
	return netip.AddrPort{}, EAFNOSUPPORT
}

// AppendAddress appends an address in the form that ParseAddress parses. An invalid
// one is the address of a Unix socket without a name.
func AppendAddress(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return binary.LittleEndian.AppendUint16(b, familyUnix)
	}
	if a.Addr().Is4() {
		b = binary.LittleEndian.AppendUint16(b, familyIPv4)
		b = binary.BigEndian.AppendUint16(b, a.Port())
		b = append(b, a.Addr().AsSlice()...)
		return append(b, make([]byte, 8)...)
	}
	addr := a.Addr().As16()
	b = binary.LittleEndian.AppendUint16(b, familyIPv6)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	b = append(b, 0, 0, 0, 0)
	b = append(b, addr[:]...)
	return append(b, 0, 0, 0, 0)
}
