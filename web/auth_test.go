package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/host/run"
	"vivarium/host/store"
)

// newKeys returns an empty keyring in memory.
func newKeys(t *testing.T) *keys.Ring {
	t.Helper()
	tokens, err := access.NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open(t.Context(), store.Memory(store.Config{}), tokens)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Pages in a browser can make a name of their own resolve to this machine. As
// long as no keys are required, such names are refused.
func TestAuth_OnlyNamesOfThisMachineAreServedWithoutKeys(t *testing.T) {
	a := newKeys(t)
	s := start(t, Config{Keys: a, GuardHost: true, AllowHosts: []string{"box.example"}}, returns(`{}`))
	status := func(name, path string, headers ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = name
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == 421 && !strings.Contains(string(text), "--allow-host") {
			t.Errorf("the answer does not say what to do: %s", text)
		}
		return answer.StatusCode
	}
	for name, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "127.3.2.1": 200, "[::1]": 200, "[::1]:8080": 200, "[::ffff:127.0.0.1]:1": 200,
		"localhost": 200, "LOCALHOST:80": 200, "localhost.": 200, "app.localhost:80": 200, "box.example": 200, "Box.Example:8080": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"evillocalhost": 421, "10.0.0.1": 421, "0.0.0.0": 421, "0": 421, "127.1": 421, "2130706433": 421, "[::]": 421, "[::2]:80": 421,
		"x.box.example": 421, "a@localhost@evil": 421, ".": 421, "[fe80::1%25lo]": 421,
	} {
		for _, path := range []string{"/hello", "/metrics"} {
			if got := status(name, path); got != want && got != 400 {
				t.Errorf("%s %s: got %d, want %d", name, path, got, want)
			}
		}
	}
	_, secret, err := a.Create(t.Context(), access.Operator, keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if got := status("evil.example", "/hello"); got != 401 {
		t.Errorf("once there are keys: got %d", got)
	}
	if got := status("proxy.example", "/hello", "Authorization", "api-key "+secret); got != 200 {
		t.Errorf("with a key: got %d", got)
	}
}

// Beyond this machine, the absence of keys lets no one in.
func TestAuth_KeysAreRequiredEvenIfThereAreNone(t *testing.T) {
	a := newKeys(t)
	key, _, err := a.Create(t.Context(), access.Operator, keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Keys: a, RequireKeys: true}, returns(`{}`))
	if err := a.Delete(t.Context(), access.Operator, key.ID); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/hello", "/metrics"} {
		got := do(t, "GET", s.url+path, "")
		got.wantPlatformError(t, 401, "Unauthorized: this requires a key; send the header Authorization: Api-Key SECRET", clientError)
		got.wantHeader(t, "WWW-Authenticate", `Bearer realm="vivarium"`)
	}
	do(t, "GET", s.url+"/hello", "", "Authorization", "Bearer x").wantPlatformError(t, 403, "Forbidden: Not authorized", clientError)
	do(t, "GET", s.url+"/healthz", "").wantStatus(t, 200)
	do(t, "GET", s.url+"/readyz", "").wantStatus(t, 200)
}

// certificate creates a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// slowBody is a body whose first byte comes at once, and the rest never.
type slowBody struct {
	first io.Reader
	ended chan struct{}
	end   sync.Once
}

func newSlowBody() *slowBody {
	return &slowBody{first: strings.NewReader("x"), ended: make(chan struct{})}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	<-b.ended
	return 0, errors.New("the caller leaves")
}

func (b *slowBody) Close() error {
	b.end.Do(func() { close(b.ended) })
	return nil
}

// Over HTTP/2, which TLS brings, all limits of HTTP/1.1 apply.
func TestAuth_TLSBringsHTTP2WithTheSameLimits(t *testing.T) {
	cert, pool := certificate(t)
	a := newKeys(t)
	_, secret, err := a.Create(t.Context(), access.Operator, keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{
		Keys: a, TransferTimeout: 300 * time.Millisecond, MaxRequestBytes: 1000, MaxResponseBytes: 1000,
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}, functions{func(ctx context.Context, inv run.Invocation) (*run.Result, error) {
		if string(inv.Body) == "slow" { // longer than bodies may take
			time.Sleep(600 * time.Millisecond)
		}
		return &run.Result{Kind: run.ResultBytes, Body: inv.Body}, nil
	}})
	base := "https://" + s.addr
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	call := func(path string, body io.Reader, headers ...string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			return answer{&http.Response{}, err.Error()}
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := io.ReadAll(response.Body)
		if slow, ok := body.(*slowBody); ok {
			_ = slow.Close() // the transport waits for it
		}
		if response.ProtoMajor != 2 {
			t.Errorf("%s: HTTP/%d", path, response.ProtoMajor)
		}
		return answer{response, string(text)}
	}
	const path = "/hello?integration=raw"
	key := "Api-Key " + secret
	if got := call(path, strings.NewReader("hi"), "Authorization", key); got.StatusCode != 200 || got.text != "hi" {
		t.Fatalf("got %d %s", got.StatusCode, got.text)
	}
	call(path, strings.NewReader("slow"), "Authorization", key).wantStatus(t, 200)
	call(path, strings.NewReader("hi")).wantStatus(t, 401)
	call(path, strings.NewReader("hi"), "Authorization", key, "Authorization", key).wantStatus(t, 403)
	call(path, strings.NewReader(strings.Repeat("x", 1001)), "Authorization", key).wantStatus(t, 413)
	call(path, io.MultiReader(strings.NewReader(strings.Repeat("x", 2000))), "Authorization", key).wantStatus(t, 413)
	// The client itself gives up on what it considers too large for the server.
	if got := call(path, nil, "Authorization", key, "X", strings.Repeat("x", 80<<10)); got.StatusCode != 431 && got.StatusCode != 0 {
		t.Errorf("headers: got %d %s", got.StatusCode, got.text)
	}
	began := time.Now()
	call(path, newSlowBody(), "Authorization", key).wantStatus(t, 408)
	// Without a key, the server does not wait for the body.
	call(path, newSlowBody()).wantStatus(t, 401)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}

	// Old protocols are refused, and so is plain HTTP.
	old := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", s.addr, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	do(t, "GET", "http://"+s.addr+"/hello", "").wantStatus(t, 400)

	// HTTP/1.1 remains available.
	one := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}}
	defer one.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := one.RoundTrip(r)
	if err != nil || response.ProtoMajor != 1 || response.StatusCode != 200 {
		t.Fatalf("got %+v, %v", response, err)
	}
	_ = response.Body.Close()
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("the end: %v", err)
	}
}
