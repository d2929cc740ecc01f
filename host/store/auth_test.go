package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// Whoever has the user's credentials gets in, by a file alone.
func TestAuth_Creds(t *testing.T) {
	operator, account, user := made(nkeys.CreateOperator()), made(nkeys.CreateAccount()), made(nkeys.CreateUser())
	operatorID, accountID, userID := made(operator.PublicKey()), made(account.PublicKey()), made(user.PublicKey())
	claims := jwt.NewAccountClaims(accountID)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, DiskMaxStreamBytes: -1,
	}
	systemID := made(made(nkeys.CreateAccount()).PublicKey()) // JetStream wants an account for the servers themselves
	resolver := &server.MemAccResolver{}
	check(t, resolver.Store(accountID, made(claims.Encode(operator))),
		resolver.Store(systemID, made(jwt.NewAccountClaims(systemID).Encode(operator))))
	trusted := made(jwt.DecodeOperatorClaims(made(jwt.NewOperatorClaims(operatorID).Encode(operator))))
	s := startWith(t, &server.Options{
		TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: resolver, SystemAccount: systemID,
	})
	creds := filepath.Join(t.TempDir(), "user.creds")
	text := made(jwt.FormatUserConfig(made(jwt.NewUserClaims(userID).Encode(account)), made(user.Seed())))
	if err := os.WriteFile(creds, text, 0o600); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, Config{URL: s.ClientURL(), Auth: Auth{Creds: creds}}, true)
	wantOpen(t, Config{URL: s.ClientURL()}, false)
	wantOpen(t, Config{URL: s.ClientURL(), Auth: Auth{Creds: creds + "-none"}}, false)
}

// Servers with a certificate of one's own are believed by it, and believe a client by its.
func TestAuth_Certificates(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ours.certificate)
	s := startWith(t, &server.Options{TLS: true, TLSVerify: true, TLSTimeout: 10, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{made(tls.LoadX509KeyPair(ours.issue(t, "server")))},
		ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}})
	cert, key := ours.issue(t, "client")
	wrongCert, wrongKey := theirs.issue(t, "client")
	where := (&url.URL{Scheme: "tls", Host: s.Addr().String()}).String()
	wantOpen(t, Config{URL: where, Auth: Auth{RootCAs: ours.file, Cert: cert, Key: key}}, true)
	wantOpen(t, Config{URL: where, Auth: Auth{RootCAs: ours.file}}, false)
	wantOpen(t, Config{URL: where, Auth: Auth{Cert: cert, Key: key}}, false)
	wantOpen(t, Config{URL: where, Auth: Auth{RootCAs: theirs.file, Cert: cert, Key: key}}, false)
	wantOpen(t, Config{URL: where, Auth: Auth{RootCAs: ours.file, Cert: wrongCert, Key: wrongKey}}, false)
}

func wantOpen(t *testing.T, cfg Config, ok bool) {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err == nil {
		s.Close()
	}
	if (err == nil) != ok || !ok && !errors.Is(err, ErrUnavailable) {
		t.Errorf("%+v: got %v", cfg.Auth, err)
	}
}

// Copies stay as many as somebody has asked for, until somebody asks for another number.
func TestReplicas_AreKept(t *testing.T) {
	var servers []*server.Server
	var routes []*url.URL
	for n := range 3 {
		l := made(net.Listen("tcp", "127.0.0.1:0")) // finds a free port
		routes = append(routes, made(url.Parse("nats://"+l.Addr().String())))
		_ = l.Close()
		servers = append(servers, startWith(t, &server.Options{
			ServerName: fmt.Sprint("server-", n), Routes: routes,
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: made(net.ResolveTCPAddr("tcp", routes[n].Host)).Port},
		}))
	}

	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		s, err := Open(t.Context(), Config{URL: servers[0].ClientURL(), Replicas: 3})
		if err == nil {
			s.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err) // the servers have to find each other first
		}
	}
	for _, c := range []struct{ asked, want int }{{0, 3}, {1, 1}, {0, 1}} {
		s, err := Open(t.Context(), Config{URL: servers[1].ClientURL(), Replicas: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		streams := 0
		for info := range s.backend.(*jet).js.ListStreams(t.Context()).Info() {
			streams++
			if copies := info.Config.Replicas; copies != c.want {
				t.Errorf("asked for %d: %s has %d copies, want %d", c.asked, info.Config.Name, copies, c.want)
			}
		}
		if want := len(s.buckets()) + 6; streams != want {
			t.Errorf("there are %d streams, want %d", streams, want)
		}
		s.Close()
	}
}

func made[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// issuer signs certificates.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func authority(t *testing.T) *issuer {
	t.Helper()
	a := &issuer{key: made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := made(x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key))
	a.certificate = made(x509.ParseCertificate(der))
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue returns the files of a certificate and its key.
func (a *issuer) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	own := made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	folder := t.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writePEM(t, cert, "CERTIFICATE", made(x509.CreateCertificate(rand.Reader, template, a.certificate, &own.PublicKey, a.key)))
	writePEM(t, key, "EC PRIVATE KEY", made(x509.MarshalECPrivateKey(own)))
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
