package run

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// peerVariable makes this test program a peer of functions in benchmarks. Its value says
// which processors the peer has, in JSON.
const peerVariable = "VIVARIUM_TEST_PEER"

// startPeer starts a peer and returns its address, as Python has it. Until the benchmark
// ends the peer has half of the processors and this process the others: one on another
// machine would not compute here either, and it computes as much as those it talks to.
func startPeer(b *testing.B) string {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		b.Fatal(err)
	}
	var processors []int
	for n := range len(all) * strconv.IntSize {
		if all.IsSet(n) {
			processors = append(processors, n)
		}
	}
	half := len(processors) / 2
	if half == 0 {
		b.Skip("there is no processor for the peer")
	}
	theirs, err := json.Marshal(processors[half:])
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerVariable+"="+string(theirs))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	before := runtime.GOMAXPROCS(half)
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		runtime.GOMAXPROCS(before)
		if err := keepTo(processors); err != nil {
			b.Error(err)
		}
	})
	if err := keepTo(processors[:half]); err != nil {
		b.Fatal(err)
	}
	var at net.TCPAddr
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("('%s', %d)", at.IP, at.Port)
}

// keepTo keeps this process to some processors.
func keepTo(processors []int) error {
	var set unix.CPUSet
	for _, n := range processors {
		set.Set(n)
	}
	threads, err := filepath.Glob("/proc/self/task/*")
	for _, thread := range threads { // those to come are as the one is that starts them
		id, _ := strconv.Atoi(filepath.Base(thread))
		if failed := unix.SchedSetaffinity(id, &set); failed != nil && failed != unix.ESRCH {
			err = failed
		}
	}
	return err
}

// servePeer serves connections that first say what they want, to be sent bytes without
// end or to have theirs taken, until its standard input ends.
func servePeer(processors string) int {
	var set []int
	err := json.Unmarshal([]byte(processors), &set)
	if err == nil {
		err = keepTo(set)
	}
	l, failed := net.Listen("tcp4", "127.0.0.1:0")
	if failed != nil || err != nil {
		fmt.Fprintln(os.Stderr, err, failed)
		return 1
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go talk(conn)
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode(l.Addr()); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func talk(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 64<<10)
	if n, _ := io.ReadFull(conn, buf[:4]); string(buf[:n]) != "give" {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, conn, buf)
		return
	}
	for err := error(nil); err == nil; {
		_, err = conn.Write(buf)
	}
}
