package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/logs"
)

// limits has the flags that bound a function.
type limits struct {
	Memory   megabytes         `default:"128" placeholder:"MB" help:"Memory limit in MB, a multiple of 128. (${default})"`
	Timeout  time.Duration     `default:"3s" placeholder:"TIME" help:"Execution timeout, such as 500ms, 3s or 5m. (${default})"`
	Env      map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"Environment variable of the function; may be given more than once."`
	EnvFile  []string          `sep:"none" placeholder:"FILE" help:"File with such variables, a line NAME=VALUE each, such as .env; may be given more than once. --env overrides it."`
	AllowNet netRules          `placeholder:"RULES" help:"What the function may reach: comma-separated hosts, addresses and prefixes, each with :PORT to allow only one, as in api.telegram.org,*.example.com:443,10.0.0.5:5432,10.0.0.0/8. --allow-net alone: the public internet. Default: nothing."`

	TmpfsSize      megabytes            `placeholder:"MB" help:"Size of /tmp, which is in memory: from 512, up to three quarters of the memory if that is 1g or more. Default: 512."`
	EphemeralDisk  map[string]megabytes `yaml:"ephemeral-disks" placeholder:"NAME=MB" help:"Folder at /function/storage/NAME that an instance can write that much to; it is in memory, and empty in each new instance. May be given more than once."`
	Runtime        string               `placeholder:"NAME" help:"${runtimes}. Default: python313, or python313-full if requirements.txt leads to packages that are built into it."`
	ServiceAccount string               `placeholder:"ID" help:"Service account that the function acts for: its calls find a token in context.token."`
	NoFreeze       bool                 `help:"Have each instance import the module itself, even where they could share one import."`
	MinLogLevel    string               `placeholder:"LEVEL" help:"Drop log entries below this level: TRACE, DEBUG, INFO, WARN, ERROR or FATAL."`
}

// spec returns the version that the flags describe.
func (l limits) spec(entrypoint string) (catalog.VersionSpec, error) {
	if l.Timeout <= 0 { // to the host, 0 means the default
		return catalog.VersionSpec{}, fmt.Errorf("--timeout %v: must be more than 0", l.Timeout)
	}
	environment, err := l.environment(readEnvFile)
	if err != nil {
		return catalog.VersionSpec{}, err
	}
	return l.specWith(entrypoint, environment), nil
}

// specWith returns the version that the flags describe, with an environment.
func (l limits) specWith(entrypoint string, environment map[string]string) catalog.VersionSpec {
	tmp := int64(l.TmpfsSize) << 20
	if tmp == catalog.DefaultTmpBytes {
		tmp = 0
	}
	var disks []catalog.Disk
	for _, name := range slices.Sorted(maps.Keys(l.EphemeralDisk)) {
		disks = append(disks, catalog.Disk{Name: name, Bytes: int64(l.EphemeralDisk[name]) << 20})
	}
	return catalog.VersionSpec{
		TmpBytes: tmp, Disks: disks,
		Entrypoint: entrypoint, MemoryMB: int(l.Memory), Timeout: l.Timeout, Environment: environment,
		ServiceAccountID: l.ServiceAccount, MinLogLevel: logs.Level(strings.ToUpper(l.MinLogLevel)),
		NoFreeze: l.NoFreeze, AllowNet: string(l.AllowNet), Runtime: l.Runtime,
	}
}

// megabytes is an amount of memory as users write it: 128, 128m, 128MB, 1g.
type megabytes int

// DescribeYAML implements strictyaml.Described.
func (megabytes) DescribeYAML() string { return "an amount of memory, such as 128, 256m or 1g" }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *megabytes) UnmarshalText(text []byte) error {
	s := strings.TrimSuffix(strings.ToLower(string(text)), "b")
	unit := 1
	switch {
	case strings.HasSuffix(s, "m"):
		s = strings.TrimSuffix(s, "m")
	case strings.HasSuffix(s, "g"):
		s, unit = strings.TrimSuffix(s, "g"), 1024
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not an amount of memory; write 128, 256m or 1g", text)
	}
	*m = megabytes(int(n) * unit)
	return nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// nameOf returns the function name for a file or folder: its own, in the
// characters that function names may have.
func nameOf(path string) string {
	if abs, err := filepath.Abs(path); err == nil { // otherwise keep "." and ".."
		path = abs
	}
	base := filepath.Base(path)
	if ext := filepath.Ext(base); ext == ".py" || ext == ".zip" {
		base = strings.TrimSuffix(base, ext)
	}
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(base), "-"), "-")
}
