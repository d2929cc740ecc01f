package storetest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the system kill the command when this process ends, in whatever way.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
