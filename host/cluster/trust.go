package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Pin is the fingerprint of a certificate: the SHA-256 of its public key.
type Pin [sha256.Size]byte

func pinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// newCertificate returns a certificate that nobody has signed but itself. It is as good as
// the lease of the node that announces it: its own dates mean nothing.
func newCertificate(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cluster: key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vivarium node"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(100, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cluster: certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(signed)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cluster: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key, Leaf: leaf}, nil
}

// errStranger means that a connection's other end is not the node it should be.
var errStranger = errors.New("cluster: the other end is not a node that is known")

// base is what both ends of a connection between nodes want. Which certificates are good is
// decided by verify alone, for resumed connections too.
func (c *Cluster) base(verify func(*x509.Certificate) bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.certificate}, NextProtos: []string{"http/1.1"},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !verify(s.PeerCertificates[0]) {
				return errStranger
			}
			return nil
		},
	}
}

// ServerTLS returns the configuration of the listener for other nodes: only they get in. A
// connection outlasts its node's lease, so Trusts is to be asked for each request.
func (c *Cluster) ServerTLS() *tls.Config {
	config := c.base(c.Trusts)
	config.ClientAuth = tls.RequireAnyClientCert // and VerifyConnection says which
	return config
}

// Dial connects to the node at an address that is known.
//
// # Errors
//
// Those of the network; an error if whoever is there is not that node.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	peer := c.known(address)
	if peer == nil {
		return nil, errStranger
	}
	want := Pin(peer.current().Pin)
	config := c.base(func(shown *x509.Certificate) bool { return pinOf(shown) == want })
	config.InsecureSkipVerify = true // there is no authority, and no name: the pin is all
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}
