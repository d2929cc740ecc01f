// Package storetest starts NATS servers as operators run them: several processes that keep
// copies of everything, and that can die or stand still.
package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// roleVariable tells a child that it is a server.
const roleVariable = "VIVARIUM_STORETEST_SERVER"

// startTime is how long a server may take to start, and servers to agree on a leader.
const startTime = time.Minute

// Main is TestMain of a package whose tests call Start: the servers are further processes of
// the test's program.
func Main(m *testing.M) {
	if os.Getenv(roleVariable) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Serve(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Serve is a server until ctx ends. Its arguments are a folder, its address, and the
// addresses at which the servers talk to each other, its own first. It prints a line when
// it can be reached.
func Serve(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) < 3 {
		return errors.New("storetest: a folder and addresses are needed")
	}
	host, port, err := split(args[1])
	if err != nil {
		return err
	}
	own, between, err := split(args[2])
	if err != nil {
		return err
	}
	options := &server.Options{
		ServerName: args[2], Host: host, Port: port, NoSigs: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: args[0], JetStreamMaxStore: 16 << 30,
		SyncAlways: true, SyncInterval: time.Minute, // what is confirmed survives
		Cluster: server.ClusterOpts{Name: "storetest", Host: own, Port: between, NoAdvertise: true},
	}
	for _, other := range args[2:] {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: other})
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(startTime) || s.ClusterAddr() == nil {
		return errors.New("storetest: the server does not start")
	}
	fmt.Fprintln(stdout, "listening on", s.Addr())
	<-ctx.Done()
	return nil
}

func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	return host, port, err
}

// Ports returns ports that nothing listens on and that the system gives to nobody who asks
// for any.
func Ports(n int) ([]string, error) {
	var ports []string
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			ports = append(ports, port)
			defer l.Close()
		} else if tries > 1000 {
			return nil, err
		}
	}
	return ports, nil
}

// Servers are those of one cluster.
type Servers struct {
	t    testing.TB
	each []*Server
}

// Server is one of them.
type Server struct {
	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

// Start starts servers, which end with the test.
func Start(t testing.TB, n int) *Servers {
	t.Helper()
	ports, err := Ports(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	addresses := make([]string, 2*n)
	for i, port := range ports {
		addresses[i] = "127.0.0.1:" + port
	}
	all, dir := &Servers{t: t}, t.TempDir()
	for i := range n {
		between := append([]string{addresses[n+i]}, append(addresses[n:n+i:n+i], addresses[n+i+1:]...)...)
		s := &Server{t: t, args: append([]string{filepath.Join(dir, strconv.Itoa(i)), addresses[i]}, between...)}
		all.each = append(all.each, s)
		s.Start()
		t.Cleanup(s.Kill)
	}
	return all
}

// URL returns the URL of all servers.
func (s *Servers) URL() string {
	var urls []string
	for _, one := range s.each {
		urls = append(urls, "nats://"+one.args[1])
	}
	return strings.Join(urls, ",")
}

// Each returns the servers.
func (s *Servers) Each() []*Server { return s.each }

// Named returns the server that has a name among the others.
func (s *Servers) Named(name string) *Server {
	for _, one := range s.each {
		if one.args[2] == name {
			return one
		}
	}
	s.t.Fatalf("there is no server %q", name)
	return nil
}

// Start starts the server, with what it has kept.
func (s *Server) Start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(self, s.args...)
	s.cmd.Env = append(os.Environ(), roleVariable+"=1")
	s.cmd.Stderr = os.Stderr
	endWithParent(s.cmd)
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		s.t.Fatal("a NATS server does not start")
	}
}

// Kill ends the server at once. It is idempotent.
func (s *Server) Kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
	}
}

// Stop has the server stand still: its connections stay, but it does nothing.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Continue has it go on.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
}

// Wipe removes what the server, which must not run, has kept.
func (s *Server) Wipe() {
	s.t.Helper()
	if err := os.RemoveAll(s.args[0]); err != nil {
		s.t.Error(err)
	}
}
