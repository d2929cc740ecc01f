package host

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/egress/egresstest"
)

// attackWorld is what attacks of a suite find outside. The variables that its names
// stand for, such as ${WEB}, may be in an attack's limits, which an attack has as
// environment variables too.
type attackWorld map[string]string

// newAttackWorld starts the servers, and has names looked up at one of them.
func newAttackWorld(t *testing.T) attackWorld {
	t.Helper()
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a secret of the machine") }))
	web := httptest.NewServer(http.HandlerFunc(hostileServer))
	for _, s := range []*httptest.Server{private, web} {
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
	}
	dns := egresstest.NewNameServer(t)
	dns.Put("silent.example.org", egresstest.Record{Silent: true})
	dns.Put("rebind.example.org", egresstest.Record{Answer: func(question int) []netip.Addr {
		// Each lookup asks twice, for both kinds of addresses.
		return []netip.Addr{netip.MustParseAddr([]string{"93.184.216.34", "127.0.0.1"}[(question-1)/2%2])}
	}})
	dns.Set("both.example.org", "93.184.216.34", "127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")
	resolver := net.DefaultResolver
	net.DefaultResolver = egresstest.Resolver(func() *egresstest.NameServer { return dns })
	t.Cleanup(func() { net.DefaultResolver = resolver })
	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	return attackWorld{"WEB": address(web), "PRIVATE": address(private), "FULL": fullListener(t), "DEAF": listener(t, 16)}
}

// hostileServer is a server that does clients no good.
func hostileServer(w http.ResponseWriter, r *http.Request) {
	switch to := r.URL.Query().Get("to"); {
	case to != "":
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	case r.URL.Path == "/drips": // as if the answer were about to come
		for r.Context().Err() == nil {
			fmt.Fprint(w, ".")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	case r.URL.Path == "/pours":
		for part := make([]byte, 64<<10); ; {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	default:
		fmt.Fprint(w, r.RemoteAddr)
	}
}

// listener returns the address of a socket that listens and accepts nobody. So many
// connections and one more are there, and nobody reads what they send; further ones
// remain half made.
func listener(t *testing.T, backlog int) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

// fullListener returns the address of a listener that has no room left.
func fullListener(t *testing.T) string {
	t.Helper()
	address := listener(t, 0)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return address
}

// in returns a text with what the names in it stand for.
func (w attackWorld) in(text string) string {
	for name, value := range w {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return text
}
