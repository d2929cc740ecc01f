package grpcapi_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yandex-cloud/go-sdk/v2/pkg/iamkey"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/host/quota"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/grpcapi"
	"vivarium/web/manage"
	"vivarium/web/webtest"
)

// server is a server with a host of its own, without a store.
type server struct {
	t           testing.TB
	host        *host.Host
	address     string
	certificate string // file with what clients are to trust; empty without TLS
	key         string // secret of a key of all tenants; empty where none is needed
	rpc         *grpcapi.Server
	desk        *manage.Desk
}

// startServer starts a server that speaks TLS and requires keys.
func startServer(t testing.TB) *server {
	s := newServer(t)
	var config web.Config
	config.TLS, s.certificate = certificate.config, certificate.file
	s.serve(config)
	s.key = s.newKey(access.AllTenants, access.RoleAdmin)
	return s
}

// startPlain starts a server that speaks no TLS and requires no keys, as it is on a
// loopback address.
func startPlain(t testing.TB) *server {
	s := newServer(t)
	s.serve(web.Config{GuardHost: true})
	return s
}

func newServer(t testing.TB) *server {
	t.Helper()
	return &server{t: t, host: webtest.Host(t, host.Config{MaxMemory: 1 << 30})}
}

func (s *server) serve(config web.Config) {
	s.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	desk := manage.New(s.host)
	management := api.New(api.Config{Host: s.host, Desk: desk, Logger: quiet})
	rpc := grpcapi.New(grpcapi.Config{Host: s.host, API: management, Desk: desk, Logger: quiet})
	s.rpc, s.desk = rpc, desk
	config.Management, config.RPC, config.Logger, config.Keys = management, rpc, quiet, s.host.Keys()
	config.OnDrain = func() { management.EndStreams(); rpc.EndStreams() }
	port, _ := webtest.Serve(s.t, config, s.host)
	s.address = fmt.Sprint("localhost:", port)
}

// newKey makes a key and returns its secret.
func (s *server) newKey(tenant string, role access.Role) string {
	return webtest.Key(s.t, s.host, tenant, role)
}

// newSigningKey makes a key whose holder signs, as the cloud's SDKs do.
func (s *server) newSigningKey(tenant string, role access.Role) *iamkey.Key {
	s.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	encode := func(kind string, der []byte, err error) string {
		if err != nil {
			s.t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	public := encode("PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(private)
	k, _, err2 := s.host.Keys().Create(s.t.Context(), access.Operator, keys.Spec{Tenant: tenant, Role: role, PublicKey: public})
	if err2 != nil {
		s.t.Fatal(err2)
	}
	return &iamkey.Key{
		Id: k.ID, Subject: &iamkey.Key_ServiceAccountId{ServiceAccountId: k.ID}, PublicKey: public, PrivateKey: encode("PRIVATE KEY", der, err),
	}
}

// trust returns what clients are to believe the server by.
func (s *server) trust() *tls.Config {
	s.t.Helper()
	trusted, err := os.ReadFile(s.certificate)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	return &tls.Config{RootCAs: pool}
}

// TestMain has a certificate that the whole process trusts: the Go SDK looks for the
// addresses of services in no other way than with the roots of the system.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "grpcapi")
		if err == nil {
			defer func() { _ = os.RemoveAll(dir) }()
			certificate.file = filepath.Join(dir, "cert.pem")
			certificate.config, err = newCertificate(certificate.file)
		}
		if err == nil {
			err = os.Setenv("SSL_CERT_FILE", certificate.file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// certificate is for localhost.
var certificate struct {
	config *tls.Config
	file   string // what clients trust
}

// newCertificate returns a certificate for localhost, and writes the file that clients
// trust.
func newCertificate(file string) (*tls.Config, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
	return config, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// dial returns a connection that the server's key identifies, or another one.
func (s *server) dial(secret string) *grpc.ClientConn {
	s.t.Helper()
	creds := insecure.NewCredentials()
	if s.certificate != "" {
		var err error
		if creds, err = credentials.NewClientTLSFromFile(s.certificate, ""); err != nil {
			s.t.Fatal(err)
		}
	}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(creds), grpc.WithUnaryInterceptor(
		func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
			if secret != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
			}
			return invoke(ctx, method, in, out, conn, o...)
		}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call calls a function over HTTP and returns status and body.
func (s *server) call(url, secret string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if s.certificate != "" {
		transport.TLSClientConfig = s.trust()
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// archive returns a zip file with a main.py.
func archive(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("main.py")
	if err == nil {
		_, err = io.Copy(w, strings.NewReader(text))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func plainCredentials() credentials.TransportCredentials { return insecure.NewCredentials() }

// bodyQuota is that of what requests make the server hold.
const bodyQuota = quota.Memory

func quotaOfBodies(n int64) map[quota.Quota]int64 { return map[quota.Quota]int64{bodyQuota: n} }
