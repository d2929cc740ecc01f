package cli

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// maxSystemCall is where the numbers of the x32 ABI start.
	maxSystemCall = 0x40000000
)

// neverNeededHere are older system calls that only this architecture has.
var neverNeededHere = []uint32{
	unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_CREATE_MODULE, unix.SYS_MODIFY_LDT, unix.SYS_IOPL, unix.SYS_IOPERM,
	unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS__SYSCTL, unix.SYS_MKNOD, unix.SYS_CHOWN, unix.SYS_LCHOWN,
	unix.SYS_CHMOD, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
}
