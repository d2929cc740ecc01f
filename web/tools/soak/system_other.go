//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"syscall"
)

// Other systems have no disk that could be filled: that fault is left out.
type disk struct{}

func endWithParent(cmd *exec.Cmd)     { cmd.SysProcAttr = &syscall.SysProcAttr{} }
func privateMounts(*exec.Cmd)         {}
func mountDisk(string) (*disk, error) { return nil, errors.New("no disk in memory on this system") }
func (*disk) fill() error             { return nil }
func (*disk) free() error             { return nil }
func (*disk) unmount() error          { return nil }
