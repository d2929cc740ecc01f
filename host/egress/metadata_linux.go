package egress

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// metadataPatience bounds how long a connection may be idle, and how long a
// response may take to be read.
const metadataPatience = time.Minute

// connectHere connects to what is implemented here: serve, which closes its end.
func connectHere(serve func(net.Conn)) (*sockets.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fds[1]), "served")
	conn, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, err
	}
	go serve(conn)
	// The peer notices when this end is closed.
	return &sockets.Conn{FD: fds[0], Local: true}, nil
}

// serveMetadata answers HTTP/1.1 requests until the other side is gone, and closes the
// connection.
func serveMetadata(conn net.Conn, answer Metadata) {
	defer conn.Close()
	const maxHead = 8 << 10
	for {
		if conn.SetDeadline(time.Now().Add(metadataPatience)) != nil {
			return
		}
		// A new reader, with the whole bound, for each request. What it has read of a next
		// one is lost, but clients wait for the response first.
		lines := textproto.NewReader(bufio.NewReader(&limited{conn, maxHead}))
		request, err := lines.ReadLine()
		if err != nil {
			return
		}
		header, err := lines.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, rest, _ := strings.Cut(request, " ")
		path, _, _ := strings.Cut(rest, " ")
		path, _, _ = strings.Cut(path, "?")
		status, body := "404 Not Found", "Not Found\n"
		if method != "GET" && method != "HEAD" {
			status, body = "405 Method Not Allowed", "Method Not Allowed\n"
		} else if text, ok := answer(path, header.Get("Metadata-Flavor") == "Google"); ok {
			status, body = "200 OK", text
		}
		kind := "text/plain"
		if strings.HasPrefix(body, "{") {
			kind = "application/json"
		}
		head := fmt.Sprintf("HTTP/1.1 %s\r\nMetadata-Flavor: Google\r\nContent-Type: %s\r\nContent-Length: %d\r\n", status, kind, len(body))
		// Other methods may have a body, which is not read and would pass for a request.
		last := method != "GET" || strings.EqualFold(header.Get("Connection"), "close")
		if last {
			head += "Connection: close\r\n"
		}
		if method == "HEAD" {
			body = ""
		}
		if _, err := conn.Write([]byte(head + "\r\n" + body)); err != nil || last {
			return
		}
	}
}

// limited reads a limited number of bytes.
type limited struct {
	conn net.Conn
	left int
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, os.ErrInvalid
	}
	n, err := l.conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
