package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithParent makes the system kill the command when this process ends, in
// whatever way.
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// privateMounts lets the command mount what only it and its children see. If it
// isn't root, it becomes root among them.
func privateMounts(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
		return
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
}

// disk is an in-memory file system that can be filled.
type disk struct{ dir string }

// mountDisk mounts a disk on a folder, visible only to us.
func mountDisk(dir string) (*disk, error) {
	// Mounts from here on stay private, even where the folder is shared.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("soak", dir, "tmpfs", 0, fmt.Sprintf("size=%d", int64(diskSize))); err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	return &disk{dir}, nil
}

// fill leaves no free space.
func (d *disk) fill() (err error) {
	// Others write meanwhile, and what is used can't be cut off.
	for range 100 {
		var s unix.Statfs_t
		if err := unix.Statfs(d.dir, &s); err != nil {
			return err
		}
		if err = d.resize(int64(s.Blocks-s.Bfree) * s.Bsize); !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return err
}

// free ends the fault.
func (d *disk) free() error { return d.resize(diskSize) }

func (d *disk) resize(size int64) error {
	return unix.Mount("soak", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}

func (d *disk) unmount() error { return unix.Unmount(d.dir, unix.MNT_DETACH) }
