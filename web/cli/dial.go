package cli

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"vivarium/host/egress"
	"vivarium/wasm/sockets"
)

// rulesFor returns the rules that allow connecting to an endpoint, and nothing else. A
// name allows no private addresses, so those that it has now are named.
func rulesFor(ctx context.Context, endpoint string) ([]string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("must be http://HOST:PORT or https://HOST:PORT")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return []string{net.JoinHostPort(u.Hostname(), port)}, nil
	}
	rules := []string{u.Hostname() + ":" + port}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname()) // it may have a name later
	for _, a := range addresses {
		rules = append(rules, net.JoinHostPort(a.Unmap().String(), port))
	}
	return rules, nil
}

// dialing connects with a Dialer.
type dialing struct{ egress.Dialer }

// dial is a DialContext of http.Transport.
func (d dialing) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, a)
	} else if addresses, err = d.Resolve(ctx, host); err != nil {
		return nil, err
	}
	failed := error(sockets.ErrNoName)
	for _, a := range addresses {
		fd, err := d.Connect(ctx, sockets.Stream, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return fileConn{os.NewFile(uintptr(fd), address), address}, nil
		}
		failed = err
	}
	return nil, failed
}

// fileConn is a connection that another process has made. Reading and writing wait until
// it is there, and fail if it does not come.
type fileConn struct {
	*os.File
	address string
}

// LocalAddr implements net.Conn.
func (c fileConn) LocalAddr() net.Addr { return c }

// RemoteAddr implements net.Conn.
func (c fileConn) RemoteAddr() net.Addr { return c }

// Network implements net.Addr.
func (fileConn) Network() string { return "tcp" }

// String implements net.Addr.
func (c fileConn) String() string { return c.address }
