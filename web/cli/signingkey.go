package cli

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"vivarium/web/api"
)

// signingBits is the size of signing keys, that of the cloud's.
const signingBits = 2048

// signingPair is a key pair on its way to a file. The zero value is none.
type signingPair struct {
	file            *os.File
	public, private string // PEM
}

// serviceAccountKey is the file that the cloud's SDKs and tools read.
type serviceAccountKey struct {
	ID               string   `json:"id"`
	ServiceAccountID string   `json:"service_account_id"`
	CreatedAt        api.Time `json:"created_at"`
	Algorithm        string   `json:"key_algorithm"`
	PublicKey        string   `json:"public_key"`
	PrivateKey       string   `json:"private_key"`
}

// pair makes the key pair that the flags ask for. The file is there before the key is:
// a key whose private half can't be written is of no use.
func (c *keyCreate) pair() (*signingPair, error) {
	if c.SigningKey == "" {
		return &signingPair{}, nil
	}
	file, err := os.OpenFile(c.SigningKey, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--service-account-key: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &signingPair{
		file:    file,
		public:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}, nil
}

// write writes the file of a key that has been made.
func (p *signingPair) write(k api.Key) error {
	if p.file == nil {
		return nil
	}
	text, err := json.MarshalIndent(serviceAccountKey{
		ID: k.ID, ServiceAccountID: k.ID, CreatedAt: k.CreatedAt, Algorithm: "RSA_2048", PublicKey: p.public, PrivateKey: p.private,
	}, "", "  ")
	if err == nil {
		_, err = p.file.Write(append(text, '\n'))
	}
	return errors.Join(err, p.file.Close())
}

// drop removes the file of a key that was not made.
func (p *signingPair) drop() {
	if p.file != nil {
		_ = p.file.Close()
		_ = os.Remove(p.file.Name())
	}
}
