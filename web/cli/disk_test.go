package cli

import (
	"strings"
	"testing"
)

// writing is a function that does what it is told with files.
const writing = `import os

def handler(event, context):
    said = []
    for path, size in (('/function/storage/small/a', 1 << 20), ('/function/storage/small/b', 2 << 20), ('/function/storage/large/b', 2 << 20),
                       ('/function/storage/new', 1), ('/function/code/x', 1), ('/tmp/large', 600 << 20)):
        try:
            with open(path, 'wb', buffering=0) as file:
                while size > 0:
                    size -= file.write(bytes(min(size, 1 << 20)))
            said.append('ok')
        except OSError as error:
            said.append(error.strerror)
    said.append(','.join(sorted(os.listdir('/function/storage'))) + ' of ' + ','.join(sorted(os.listdir('/function'))))
    return {'body': '; '.join(said)}
`

func TestDisk_IsAFolderOfTheInstance(t *testing.T) {
	folder := writeFiles(t, map[string]string{"main.py": writing})
	for flags, want := range map[string]string{
		"--ephemeral-disk small=2 --ephemeral-disk large=1g":      "ok; No space left on device; ok; Read-only file system; Read-only file system; No space left on device; large,small of code,runtime,storage",
		"--ephemeral-disk small=64m --memory 1g --tmpfs-size 768": "ok; ok; No such file or directory; Read-only file system; Read-only file system; ok; small of code,runtime,storage",
	} {
		code, stdout, stderr := execute("", append([]string{"run", folder, "--timeout", "60s"}, strings.Fields(flags)...)...)
		if code != ExitOK || stdout != want {
			t.Errorf("%s: exit code %d:\n%s, want\n%s\n%s", flags, code, stdout, want, stderr)
		}
	}
	for flags, want := range map[string]string{
		"--tmpfs-size 1g":              "tmpfs_size: 1073741824 must be 0 or 536870912 unless",
		"--memory 1g --tmpfs-size 1g":  "tmpfs_size: 1073741824 must be between 536870912 and three quarters of the memory, 805306368",
		"--memory 1g --tmpfs-size 256": "tmpfs_size: 268435456 must be between",
		"--ephemeral-disk a/b=1":       `mounts: the name "a/b" must be`,
		"--ephemeral-disk a=0":         "--ephemeral-disk: invalid",
		"--ephemeral-disk ..=1":        `mounts: the name ".." must be`,
	} {
		code, _, stderr := execute("", append([]string{"run", folder}, strings.Fields(flags)...)...)
		if code != ExitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", flags, code, stderr)
		}
	}
}

// What is on a disk stays for the instance's next call, is the instance's alone, and can be
// said in a vivarium.yaml and of a version on a server.
func TestDisk_OfAVersion(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	t.Chdir(writeFiles(t, map[string]string{
		projectFile: "functions:\n  disk-fun: {path: ., timeout: 60s, memory: 1g, tmpfs-size: 640, ephemeral-disks: {scratch: 1g}}\n",
		"main.py": `
def handler(event, context):
    with open('/function/storage/scratch/log', 'a+') as file:
        file.write('x')
        file.seek(0)
        return {'body': file.read()}
`}))
	t.Cleanup(func() { must(t, "function", "delete", "disk-fun") })
	if out := must(t, "deploy"); !strings.Contains(out, "new version") {
		t.Error(out)
	}
	if out := must(t, "deploy"); !strings.Contains(out, "unchanged") {
		t.Error(out)
	}
	for _, want := range []string{"x", "xx"} {
		if got := get(t, shared, "/disk-fun"); got.body != want {
			t.Errorf("got %d %s, want %s", got.status, got.body, want)
		}
	}
	version := must(t, "version", "get", "disk-fun", "--json")
	for _, want := range []string{`"tmpfsSize": "671088640"`, `"name": "scratch"`, `"size": "1073741824"`} {
		if !strings.Contains(version, want) {
			t.Errorf("%s is not in %s", want, version)
		}
	}
	code, stdout, stderr := execute("", "export", "terraform")
	if code != ExitOK {
		t.Fatal(stderr)
	}
	parseHCL(t, stdout).want(t, "resource yandex_function disk_fun", map[string]string{"tmpfs_size": "640"}).
		want(t, "mounts", map[string]string{"name": "scratch", "mode": "rw"}).want(t, "ephemeral_disk", map[string]string{"size_gb": "1"})
}
