//go:build linux && (amd64 || arm64)

package cli

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What Go programs can't do by themselves: calls by other numbers, and
// arguments that C libraries would not pass.
func TestSystemCallFilter(t *testing.T) {
	const here, i386 = uint32(auditArch), uint32(unix.AUDIT_ARCH_I386)
	const thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	const how = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	const above = 1 << 32 // a bit that the kernel ignores
	for _, c := range []struct {
		what     string
		connects bool
		arch     uint32
		call     uint32
		args     []uint64
		want     bpf.RetConstant
	}{
		{"read", false, here, unix.SYS_READ, nil, allow},
		{"mmap", false, here, unix.SYS_MMAP, nil, allow},
		{"execve", false, here, unix.SYS_EXECVE, nil, deny},
		{"execve of a 32-bit program", false, i386, 11, nil, deny},
		{"write of a 32-bit program", false, i386, 4, nil, deny},
		{"execve of the x32 ABI", false, here, 0x40000000 | 520, nil, deny},
		{"a thread", false, here, unix.SYS_CLONE, []uint64{thread}, allow},
		{"a process", false, here, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, deny},
		{"a process in a name space", false, here, unix.SYS_CLONE, []uint64{thread | unix.CLONE_NEWNET}, deny},
		{"clone3", false, here, unix.SYS_CLONE3, nil, unknown},
		{"a terminal's size", false, here, unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, allow},
		{"typing", false, here, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, deny},
		{"typing, with a bit more", false, here, unix.SYS_IOCTL, []uint64{0, above | unix.TIOCSTI}, deny},
		{"pasting", false, here, unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}, deny},
		{"accept", false, here, unix.SYS_ACCEPT4, nil, allow},
		{"a socket", false, here, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | how, 0}, deny},
		{"connect", false, here, unix.SYS_CONNECT, nil, deny},
		{"a socket for a store", true, here, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | how, 0}, allow},
		{"one for names", true, here, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM | how, unix.IPPROTO_UDP}, allow},
		{"connect to a store", true, here, unix.SYS_CONNECT, nil, allow},
		{"a Unix socket", true, here, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | how, 0}, deny},
		{"a netlink socket", true, here, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_DGRAM | how, 0}, deny},
		{"a raw socket", true, here, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | how, unix.IPPROTO_TCP}, deny},
		{"multipath TCP", true, here, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | how, unix.IPPROTO_MPTCP}, deny},
		{"multipath TCP, with a bit more", true, here, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | how, above | unix.IPPROTO_MPTCP}, deny},
		{"listen beside a store", true, here, unix.SYS_LISTEN, nil, deny},
	} {
		vm, err := bpf.NewVM(systemCallFilter(c.connects))
		if err != nil {
			t.Fatal(err)
		}
		// struct seccomp_data as the kernel reads it; the interpreter used here
		// reads words in network byte order, so each is swapped.
		data := make([]byte, 64)
		binary.BigEndian.PutUint32(data, c.call)
		binary.BigEndian.PutUint32(data[4:], c.arch)
		for i, a := range c.args {
			binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
			binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
		}
		got, err := vm.Run(data)
		if err != nil || uint32(got) != c.want.Val {
			t.Errorf("%s: got %#x, %v, want %#x", c.what, got, err, c.want.Val)
		}
	}
}
