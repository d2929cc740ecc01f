package host

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Real servers for the tests of real clients. .ci/servers installs them; each runs on
// the loopback address, with a folder of its own, for as long as the test does.

// program returns the path of a server's program, which .ci/servers installs.
func program(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	// Debian keeps PostgreSQL's programs, one folder for each release, out of PATH.
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Reverse(found)
	for _, path := range append(found, name, "/usr/sbin/"+name, filepath.Join(cache, "vivarium", "servers", name)) {
		if path, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	t.Fatalf("there is no %s; bash .ci/servers installs it", name)
	return ""
}

// service is a program that serves while a test runs.
type service struct {
	t      *testing.T
	dir    string // its own
	port   int
	as     *syscall.SysProcAttr
	output bytes.Buffer // may be read when it has ended
}

func newService(t *testing.T) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "vivarium-server-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &service{t: t, dir: dir, port: l.Addr().(*net.TCPAddr).Port, as: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
}

// asNobody has the server run without the rights of root, for those who refuse them.
func (s *service) asNobody() {
	s.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		s.t.Fatal(err)
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
}

// file writes a file into the server's folder and returns its path.
func (s *service) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.give(path)
	return path
}

// give makes a file the server's own.
func (s *service) give(path string) {
	s.t.Helper()
	if c := s.as.Credential; c != nil {
		if err := os.Chown(path, int(c.Uid), int(c.Gid)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *service) command(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	s.give(s.dir)
	c := exec.Command(program(s.t, name), args...)
	c.Dir, c.SysProcAttr = s.dir, s.as
	c.Env = append(os.Environ(), "HOME="+s.dir, "LC_ALL=C")
	return c
}

// run runs a program to its end.
func (s *service) run(name string, args ...string) {
	s.t.Helper()
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// start starts a program, which ends with the test, and returns when it is ready:
// when it can be connected to, and ready, unless that is nil, says so too.
func (s *service) start(ready func() bool, name string, args ...string) {
	s.t.Helper()
	c := s.command(name, args...)
	c.Stdout, c.Stderr = &s.output, &s.output
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	s.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
		if s.t.Failed() {
			s.t.Logf("%s: %s", name, s.output.Bytes())
		}
	})
	for end := time.Now().Add(time.Minute); ; {
		if conn, err := net.Dial("tcp", s.address()); err == nil {
			_ = conn.Close()
			if ready == nil || ready() {
				return
			}
		}
		select {
		case err := <-ended:
			ended <- err
			s.t.Fatalf("%s ended: %v: %s", name, err, s.output.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s is not ready", name)
		}
	}
}

func (s *service) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// certificate returns a certificate for 127.0.0.1 and example.com, which is its own
// authority, and its key.
func certificate(t *testing.T) (certificate, key string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// startPostgreSQL returns a server with TLS, the user vivarium, and the password
// secret, which it asks for by SCRAM.
func startPostgreSQL(t *testing.T, certificate, key string) *service {
	t.Helper()
	s := newService(t)
	s.asNobody()
	data := filepath.Join(s.dir, "data")
	s.run("initdb", "--pgdata", data, "--username", "vivarium", "--auth", "scram-sha-256", "--pwfile", s.file("password", "secret"),
		"--no-sync", "--no-instructions", "--encoding", "UTF8", "--locale", "C")
	s.start(func() bool {
		return s.command("pg_isready", "--quiet", "--host", "127.0.0.1", "--port", strconv.Itoa(s.port)).Run() == nil
	},
		"postgres", "-D", data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file="+s.file("cert.pem", certificate), "-c", "ssl_key_file="+s.file("key.pem", key))
	return s
}

// startMariaDB returns a server with TLS, the user root without a password, and the
// database test.
func startMariaDB(t *testing.T, certificate, key string) *service {
	t.Helper()
	s := newService(t)
	data := filepath.Join(s.dir, "data")
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s.run("mariadb-install-db", "--no-defaults", "--datadir="+data, "--user="+who.Username, "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M", "--innodb-flush-method=nosync")
	s.start(nil, "mariadbd", "--no-defaults", "--datadir="+data, "--user="+who.Username, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port), "--socket="+filepath.Join(s.dir, "socket"),
		"--pid-file="+filepath.Join(s.dir, "pid"), "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-method=nosync",
		"--ssl-cert="+s.file("cert.pem", certificate), "--ssl-key="+s.file("key.pem", key))
	return s
}

// startRedis returns a server without TLS.
func startRedis(t *testing.T) *service {
	t.Helper()
	s := newService(t)
	s.start(nil, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--save", "", "--dir", s.dir)
	return s
}

// startMosquitto returns an MQTT server with TLS, which serves by web sockets at the
// other port.
func startMosquitto(t *testing.T, certificate, key string) (s *service, web int) {
	t.Helper()
	s, other := newService(t), newService(t)
	s.start(nil, "mosquitto", "-c", s.file("mosquitto.conf", fmt.Sprintf(`
user root
allow_anonymous true
listener %d 127.0.0.1
certfile %s
keyfile %s
listener %d 127.0.0.1
protocol websockets
`, s.port, s.file("cert.pem", certificate), s.file("key.pem", key), other.port)))
	return s, other.port
}

// startSMTP returns a mail server that takes mail only by STARTTLS.
func startSMTP(t *testing.T, certificate, key string) *service {
	t.Helper()
	s := newService(t)
	s.start(nil, "aiosmtpd", "-n", "-u", "-l", s.address(), "-c", "aiosmtpd.handlers.Debugging", "--tlscert", s.file("cert.pem", certificate),
		"--tlskey", s.file("key.pem", key), "stdout")
	return s
}

// startS3 returns an S3 server, versitygw, with the key "access" and the secret
// "secret".
func startS3(t *testing.T) *service {
	t.Helper()
	s := newService(t)
	data, attributes := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "attributes")
	for _, dir := range []string{data, attributes} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.start(nil, "versitygw", "--access", "access", "--secret", "secret", "--port", s.address(), "--quiet",
		"posix", "--sidecar", attributes, data)
	return s
}
