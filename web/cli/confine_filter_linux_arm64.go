package cli

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// maxSystemCall is above the number of any system call.
	maxSystemCall = 0x40000000
)

// neverNeededHere are older system calls that only this architecture has.
var neverNeededHere []uint32
