package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// quickModules take some seconds together and cover what a sandbox gets wrong
// first: files, time, randomness, the event loop, logs. The whole suite is a
// task of its own, go tool task cpython.
var quickModules = map[Pass]string{
	PassPlatform: `
		test_fcntl test_file test_filecmp test_fileio test_genericpath test_grp test_logging test_os test_posix
		test_posixpath test_pwd test_resource test_sched test_secrets test_shutil test_sqlite3 test_stat
		test_tempfile test_time`,
	PassLinux: `
		test_asyncio.test_locks test_asyncio.test_queues test_asyncio.test_runners test_asyncio.test_timeouts`,
}

func TestQuickModules_WhatPassedPasses(t *testing.T) {
	s, err := openSuite(t.Context())
	if err != nil {
		t.Fatalf("%v\nwithout a network, an archive that another run has packed is enough", err)
	}
	base, err := loadResults(PassPlatform.file())
	if err != nil {
		t.Fatal(err)
	}
	// Ample: ends a module that hangs, but not one on a busy machine.
	r, err := newRunner(t.Context(), s, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for pass, names := range quickModules {
		t.Run(fmt.Sprintf("pass %d", pass), func(t *testing.T) {
			modules, err := s.choose(strings.Fields(names))
			if err != nil {
				t.Fatal(err)
			}
			recorded, err := loadResults(pass.file())
			if err != nil {
				t.Fatal(err)
			}
			err = each(t.Context(), 1, modules, func(name string) func() {
				m, o, losses := r.compare(t.Context(), pass, name, recorded[name], base[name])
				return func() {
					t.Logf("%-32s %v (%.1f s)", name, m, o.CPU.Seconds())
					if recorded[name].Passed == 0 {
						t.Errorf("%s: no test is known to pass", name)
					}
					for _, l := range losses {
						t.Error(l)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
