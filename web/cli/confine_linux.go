package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"vivarium/host/run"
)

// systemFiles are what the process reads of the system: for its metrics, and
// for the time zones of timers.
var systemFiles = []string{
	"/proc/self", "/proc/stat", "/proc/meminfo", "/proc/sys/net/core/somaxconn",
	"/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo",
}

// networkFiles are what it reads to connect to a server: to resolve the name
// and check the certificate.
var networkFiles = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/services", "/etc/protocols",
	"/run/systemd/resolve", // the target of a resolv.conf link is replaced, not rewritten
	"/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ssl/cert.pem",
	"/etc/pki/tls", "/etc/pki/ca-trust", "/etc/ssl/ca-bundle.pem", "/var/lib/ca-certificates", "/etc/ca-certificates",
}

// Rights below a folder. They include neither executing files nor creating
// devices, sockets and links.
const (
	readFile  = landlock.AccessFSSet(ll.AccessFSReadFile)
	readDir   = readFile | ll.AccessFSReadDir
	writeDir  = readDir | ll.AccessFSWriteFile | ll.AccessFSTruncate | moveInDir
	moveInDir = ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir |
		ll.AccessFSRefer // JetStream moves files between its folders
)

// confineProcess gives up, for all threads, what is not in a.
func confineProcess(a reach) (*confinement, error) {
	ports, err := natsPorts(a.nats)
	if err != nil {
		return nil, err
	}
	c := &confinement{}
	if c.temp, err = os.MkdirTemp("", "vivarium-"); err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	a.write = append(a.write, c.temp)
	c.openProc()
	// The kernel requires this for the other two.
	failed := ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	c.report("no_new_privs", "on", failed)
	how, failed := restrictPaths(a, append(ports, a.ports...))
	c.report("landlock", how, failed)
	c.report("seccomp", "on", filterSystemCalls(a.nats != ""))
	return c, nil
}

// confineBroker gives up what the process that connects does not need: all
// files except those for resolving names, and starting programs. What the
// system can't do is skipped, as for the process that asks.
func confineBroker() error {
	if err := ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	var rules []landlock.Rule
	for _, path := range networkFiles {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			rules = append(rules, landlock.PathAccess(readFile, path).IgnoreIfMissing())
		} else if err == nil {
			rules = append(rules, landlock.PathAccess(readDir, path).IgnoreIfMissing())
		}
	}
	if err := landlock.V11.BestEffort().RestrictPaths(rules...); err != nil {
		return err
	}
	_ = filterSystemCalls(true) // a kernel without filters has no other way
	return nil
}

// report records the outcome of a measure.
func (c *confinement) report(measure, how string, err error) {
	if err == nil {
		c.lines = append(c.lines, measure+": "+how)
		return
	}
	line := fmt.Sprintf("%s: off: %v", measure, err)
	c.lines = append(c.lines, line)
	c.missing = append(c.missing, line)
}

// openProc opens /proc/self and keeps it open. A Landlock rule applies to an
// inode, and /proc's are recreated once the system has forgotten them, which it
// does not do while they are open.
func (c *confinement) openProc() {
	c.proc, _ = os.Open("/proc/self") // without /proc there is no rule for it either
}

// restrictPaths makes Landlock refuse all files except those in a, and all TCP
// connections except to ports. It returns what is in force.
func restrictPaths(a reach, ports []uint16) (string, error) {
	abi, err := ll.LandlockGetABIVersion()
	switch {
	case errors.Is(err, unix.EPERM):
		return "", errors.New("the system forbids it, as an older container runtime does")
	case err != nil:
		return "", errors.New("the kernel has no Landlock, or it is not turned on")
	case abi < 2: // can't allow moving files between folders
		return "", errors.New("the kernel's Landlock is too old; Linux 5.19 has what is needed")
	}
	rules := []landlock.Rule{
		landlock.PathAccess(writeDir, a.write...),
		// Allows removing the temporary folder.
		landlock.PathAccess(ll.AccessFSRemoveDir, os.TempDir()),
	}
	read := slices.Concat(a.read, systemFiles, run.RootFiles)
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		read = append(read, file)
	}
	if a.nats != "" {
		read = append(read, networkFiles...)
		for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
			read = append(read, filepath.SplitList(os.Getenv(name))...)
		}
		const dns = 53
		for _, port := range append(ports, dns) {
			rules = append(rules, landlock.ConnectTCP(port))
		}
		rules = append(rules, landlock.BindUDP(0), landlock.ConnectSendUDP(dns)) // 0: any, as chosen by the kernel
	}
	for _, path := range read {
		info, err := os.Stat(path)
		if err != nil {
			continue // missing, or unreadable for us anyway
		}
		right := readFile
		if info.IsDir() {
			right = readDir
		}
		rules = append(rules, landlock.PathAccess(right, path).IgnoreIfMissing())
	}
	if err := landlock.V11.BestEffort().Restrict(rules...); err != nil {
		return "", err
	}
	return fmt.Sprintf("on (ABI %d)", abi), nil
}
