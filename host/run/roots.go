package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"vivarium/wasm/vfs"
)

// RootFiles are where systems keep the certificates that they trust, in one file.
var RootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem", // SUSE
	"/etc/ssl/cert.pem",      // BSD, macOS
}

// roots are the certificates that functions trust, where OpenSSL and those who ask
// for Debian's file look for them.
type roots struct {
	tree *vfs.Tree
	key  string // a hash of them
}

// rootCertificates reads the host's certificates: SSL_CERT_FILE, else the first of
// RootFiles. Without any, functions trust nobody but whom they name themselves.
func rootCertificates() (roots, error) {
	var bundle []byte
	files := RootFiles
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		files = []string{file}
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil {
			bundle = b
			break
		}
		if !os.IsNotExist(err) {
			return roots{}, fmt.Errorf("run: root certificates: %w", err)
		}
	}
	tree, err := CodeFromFiles(map[string]string{"cert.pem": string(bundle), "certs/ca-certificates.crt": string(bundle)})
	if err != nil {
		return roots{}, fmt.Errorf("run: root certificates: %w", err)
	}
	sum := sha256.Sum256(bundle)
	return roots{tree: tree, key: hex.EncodeToString(sum[:8])}, nil
}
