package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	const whole = 2 // of all threads, those that have ended included
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|whole), &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}
