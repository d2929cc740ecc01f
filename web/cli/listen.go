package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"vivarium/host/keys"
	"vivarium/web"
)

// listening has the flags of commands that serve.
type listening struct {
	Listen    string   `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on, or a port of 127.0.0.1. Port 0 takes a free one. (${default})"`
	TLSCert   string   `name:"tls-cert" placeholder:"FILE" and:"tls" help:"Serve HTTPS with this certificate (PEM, including intermediates). It is reloaded when the file changes."`
	TLSKey    string   `name:"tls-key" placeholder:"FILE" and:"tls" help:"The certificate's private key (PEM)."`
	Insecure  bool     `help:"Listen beyond this machine even while there are no keys: whoever reaches the server can do everything."`
	AllowHost []string `placeholder:"NAME" help:"Without keys, also serve requests for this host name; may be given more than once. localhost and this machine's own addresses are always served."`
}

// listener is an open listener.
type listener struct {
	net.Listener
	tls *tls.Config // nil: HTTP
}

// url returns the server's base URL.
func (l *listener) url() string {
	if l.tls != nil {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// local reports whether only this machine can reach the listener.
func (l *listener) local() bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// open opens the listener.
func (c *listening) open(log func(format string, args ...any)) (*listener, error) {
	var config *tls.Config
	if c.TLSCert != "" {
		files := &certificateFiles{cert: c.TLSCert, key: c.TLSKey, log: log}
		if err := files.load(); err != nil {
			return nil, err
		}
		config = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.certificate}
	}
	address := c.Listen
	if _, err := strconv.ParseUint(address, 10, 16); err == nil { // a port alone
		address = "127.0.0.1:" + address
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --listen, 127.0.0.1:0 takes a free port", err)
	}
	return &listener{l, config}, nil
}

// certificates returns the folders of the certificate's files: a renewed one is
// a new file, and may be the target of a link.
func (c *listening) certificates() []string {
	var folders []string
	for _, file := range []string{c.TLSCert, c.TLSKey} {
		if file == "" {
			continue
		}
		folders = append(folders, filepath.Dir(file))
		if target, err := filepath.EvalSymlinks(file); err == nil {
			folders = append(folders, filepath.Dir(target))
		}
	}
	return folders
}

// mayServe returns why the server must not start: others than this machine
// could do what they like. where is the flag that names the store of the keys.
func (c *listening) mayServe(l *listener, keys bool, where string) error {
	if keys || c.Insecure || l.local() {
		return nil
	}
	if where == "" {
		return fmt.Errorf("whoever reaches %s could do everything: there are no keys; listen on 127.0.0.1, keep keys with "+
			"vivarium serve --data DIR, or add --insecure if everyone who can reach it may do everything", l.Addr())
	}
	return fmt.Errorf("whoever reaches %s could do everything, since there are no keys; make one first: "+
		"vivarium key create %s (or add --insecure if everyone who can reach it may do everything)", l.Addr(), where)
}

// configure sets whom a server serves.
func (c *listening) configure(config *web.Config, l *listener, ring *keys.Ring) {
	config.Keys, config.TLS = ring, l.tls
	config.RequireKeys = !l.local() && !c.Insecure
	config.GuardHost, config.AllowHosts = l.local(), c.AllowHost
}

// warn tells what others than this machine can do or see.
func (c *listening) warn(t *terminal, l *listener, keys *keys.Ring, what string) {
	switch {
	case l.local():
	case !keys.Exist():
		t.say("whoever reaches %s may %s: there are no keys", l.Addr(), what)
	case l.tls == nil:
		t.say("keys, requests and answers can be read on their way to %s: add --tls-cert and --tls-key, "+
			"or let only a proxy that speaks HTTPS reach it", l.Addr())
	}
}

// certificateFiles is a certificate that is reloaded when its files change.
// Safe for concurrent use.
type certificateFiles struct {
	cert, key string
	log       func(format string, args ...any)

	mu      sync.Mutex // guards the members below; files are read under it
	loaded  *tls.Certificate
	stamp   [2]stamp  // of the files when they were read
	checked time.Time // last check
}

// stamp identifies a state of a file.
type stamp struct {
	modified time.Time
	size     int64
}

// checkEvery is how long a certificate is used before checking for changes.
const checkEvery = time.Second

// load reads the files, or returns why it could not; the previous certificate
// then stays.
func (f *certificateFiles) load() error {
	f.stamp = f.stamps()
	loaded, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", f.cert, f.key, err)
	}
	f.loaded = &loaded
	return nil
}

func (f *certificateFiles) stamps() (s [2]stamp) {
	for i, path := range []string{f.cert, f.key} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

// certificate returns the current certificate, or the previous one if the files
// can't be read or only one of them is new yet. It is a tls.Config's
// GetCertificate.
func (f *certificateFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) > checkEvery {
		f.checked = now
		if f.stamps() != f.stamp {
			if err := f.load(); err != nil {
				f.log("the previous certificate stays in use: %v", err)
			}
		}
	}
	return f.loaded, nil
}
