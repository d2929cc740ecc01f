//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"syscall"
)

// disk can't be filled on other systems: that fault is skipped.
type disk struct{}

func endWithParent(cmd *exec.Cmd)     { cmd.SysProcAttr = &syscall.SysProcAttr{} }
func privateMounts(*exec.Cmd)         {}
func mountDisk(string) (*disk, error) { return nil, errors.New("no disk in memory on this system") }
func (*disk) fill() error             { return nil }
func (*disk) free() error             { return nil }
func (*disk) unmount() error          { return nil }
