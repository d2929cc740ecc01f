package manual

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The tutorial's commands do what it says, one after the other.
func TestTutorial(t *testing.T) { follow(t, "tutorial.md") }

// And those of the README.
func TestReadme(t *testing.T) { follow(t, "../../README.md") }

// shown is a block of commands, or the lines that one prints.
type shown struct {
	commands string
	printed  []string
}

// blocks matches commands, drawings and files, which mean nothing here, and what is printed.
var blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$|^```.*?^```$|^(?:    [^\n]*\n)+")

// read returns what a page tells its reader to do.
func read(t *testing.T, page string) (all []shown) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range blocks.FindAllStringSubmatch(string(text), -1) {
		switch {
		case strings.HasPrefix(m[1], "go tool task"): // this test is part of such a task
		case m[1] != "":
			all = append(all, shown{commands: m[1]})
		case len(all) > 0 && !strings.HasPrefix(m[0], "```"):
			last := &all[len(all)-1]
			for line := range strings.Lines(m[0]) {
				last.printed = append(last.printed, strings.TrimSpace(line))
			}
		}
	}
	return all
}

// served matches a block after which something runs until its reader ends it.
var served = regexp.MustCompile(`^\S*vivarium (dev|serve)\b`)

// script returns all blocks as one script, in whose output lines with @@ part them. What
// serves runs beside the others, and ends when the next one begins, as the pages say.
func script(all []shown) string {
	var b strings.Builder
	b.WriteString("ip link set lo up\nset -E; trap 'echo \"@@ failed: $BASH_COMMAND\"' ERR\nat=0\n" +
		"end() { if ((at)); then kill \"$at\"; wait \"$at\" || true; fi; }\ntrap end EXIT\n")
	for i, block := range all {
		fmt.Fprintf(&b, "echo '@@ %d'\n", i)
		if served.MatchString(block.commands) {
			fmt.Fprintf(&b, "end\n%s >served.%d 2>&1 &\nat=$!\n"+
				"until grep -q '^vivarium: serving' served.%[2]d; do kill -0 $at; sleep 0.1; done\n", strings.TrimSpace(block.commands), i)
		} else {
			b.WriteString(block.commands)
		}
	}
	return b.String()
}

// follow does what a page says in an empty folder, on a machine that has no other network
// than itself.
func follow(t *testing.T, page string) {
	all, work := read(t, page), t.TempDir()
	if len(all) < 5 {
		t.Fatalf("%s has %d blocks of commands", page, len(all))
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(work, "bin/vivarium"), "vivarium")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	c := exec.CommandContext(t.Context(), "bash", "-c", script(all))
	c.Dir, c.Env = work, append(os.Environ(), "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH"))
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
	}
	var stderr strings.Builder
	c.Stderr = &stderr
	stdout, err := c.Output()
	if err != nil {
		t.Errorf("%v", err)
	}
	outputs := strings.Split(string(stdout), "@@ ")[1:]
	if len(outputs) < len(all) || strings.Contains(string(stdout), "@@ failed: ") {
		t.Errorf("%d blocks of %d ran; standard output:\n%s\nstandard error:\n%s", len(outputs), len(all), stdout, &stderr)
		return
	}
	for i, block := range all {
		rest := outputs[i]
		for _, line := range block.printed {
			_, after, ok := strings.Cut(rest, line)
			if !ok {
				t.Errorf("%s\ndoes not print %s, but\n%s", block.commands, line, outputs[i])
			}
			rest = after
		}
	}
}
