package cli

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// maxSystemCall is more than any system call's number.
	maxSystemCall = 0x40000000
)

// neverNeededHere are the older system calls that this architecture alone has.
var neverNeededHere []uint32
