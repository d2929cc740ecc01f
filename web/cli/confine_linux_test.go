package cli

import (
	"os"
	"runtime"
	"strings"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// measuresHere are those that this kernel has, and the parts of Landlock that
// not every kernel with it has.
func measuresHere() []string {
	here := []string{"no_new_privs"}
	if abi, err := ll.LandlockGetABIVersion(); err == nil {
		errata, err := ll.LandlockGetErrata()
		if abi >= 6 && (err != nil || errata&2 == 0) {
			abi = 5 // whose signals don't reach the process's own threads: not used
		}
		for since, part := range map[int]string{2: "landlock", 4: "landlock network", 6: "landlock scopes"} {
			if abi >= since {
				here = append(here, part)
			}
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if known := runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"; known && err == nil && strings.Contains(string(status), "\nSeccomp:") {
		here = append(here, "seccomp")
	}
	return here
}
