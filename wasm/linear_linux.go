//go:build !plaincopy

package wasm

import "golang.org/x/sys/unix"

// mapNoReserve keeps the reservation out of the system's accounts.
const mapNoReserve = unix.MAP_NORESERVE

// adviseSmallPages keeps huge pages away: an instance that touches a few bytes
// of its heap should cost a few pages, not 2 MiB.
func adviseSmallPages(region []byte) { _ = unix.Madvise(region, unix.MADV_NOHUGEPAGE) }
