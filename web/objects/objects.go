// Package objects fetches objects from an object storage that speaks S3, as the cloud's does:
// the packages of functions' versions (contract §6.3).
package objects

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"vivarium/host/fault"
)

// Storage is an object storage. It is safe for concurrent use.
type Storage struct {
	endpoint string // without a slash at the end
	client   *http.Client
}

// Dial connects, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// patience bounds how long an object may take.
const patience = 2 * time.Minute

// New returns the storage at an endpoint, such as https://storage.yandexcloud.net. Dial, if it
// is not nil, connects to it.
//
// # Errors
//
// If the endpoint is none.
func New(endpoint string, dial Dial) (*Storage, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no endpoint; write https://HOST or http://HOST:PORT", endpoint)
	}
	roots, err := x509.SystemCertPool() // now, while its files can be read
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: 30 * time.Second,
	}
	return &Storage{endpoint: u.Scheme + "://" + u.Host, client: &http.Client{
		Transport: transport, Timeout: patience,
		// It could lead anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Key is a static key of a service account. The zero value is nobody, who may read what is
// public.
type Key struct{ ID, Secret string }

// Object names an object.
type Object struct{ Bucket, Name string }

// Path returns the path of an object in an address, escaped as S3 wants it for signatures:
// more than elsewhere.
func (o Object) Path() string {
	var b strings.Builder
	for _, c := range []byte("/" + o.Bucket + "/" + o.Name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// maxName bounds an object's name, in bytes, as S3 does.
const maxName = 1024

// Region is what requests are signed for; the cloud's storage takes none other.
const Region = "ru-central1"

// Sign signs a request for an object with the key.
//
// # Errors
//
// The request's context's.
func (k Key) Sign(request *http.Request, body []byte) error {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	who := aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
	return signer.SignHTTP(request.Context(), who, request, hash, "s3", Region, time.Now())
}

// Fetch returns an object of at most limit bytes. Reserve is asked for the memory before it is
// taken. Fetch blocks until the object is there, for two minutes at most.
//
// # Errors
//
// *fault.InvalidError of a field of package if it can't be had, which is the caller's fault;
// fault.ErrUnavailable, wrapped, if the storage does not answer; ctx's and reserve's.
func (s *Storage) Fetch(ctx context.Context, key Key, o Object, limit int64, reserve func(bytes int64) error) ([]byte, error) {
	switch {
	case o.Bucket == "" || len(o.Bucket) > 63 || strings.Trim(o.Bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" ||
		strings.Trim(o.Bucket, ".") == "":
		return nil, fault.Invalidf("package.bucketName", "%.80q is no bucket's name", o.Bucket)
	case o.Name == "" || len(o.Name) > maxName:
		return nil, fault.Invalidf("package.objectName", "must have 1 to %d bytes", maxName)
	}
	answer, err := s.get(ctx, key, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := refused(answer, key); err != nil {
		return nil, err
	}
	size := answer.ContentLength
	switch {
	case size < 0:
		return nil, fmt.Errorf("%w: the object storage does not say how large the object is", fault.ErrUnavailable)
	case size > limit:
		return nil, fault.Invalidf("package.objectName", "the object has %d bytes, at most %d are allowed", size, limit)
	}
	if err := reserve(size); err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(answer.Body, data); err != nil {
		return nil, unanswered(ctx, err)
	}
	return data, nil
}

func (s *Storage) get(ctx context.Context, key Key, o Object) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+o.Path(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if key != (Key{}) {
		if err := key.Sign(request, nil); err != nil {
			return nil, err
		}
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	return answer, nil
}

// unanswered returns the error for a storage that does not answer.
func unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: the object storage: %v", fault.ErrUnavailable, err)
}

// refused returns the error for an answer other than an object.
func refused(answer *http.Response, key Key) error {
	switch status := answer.StatusCode; {
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound:
		return fault.Invalidf("package.objectName", "the object storage has no such object, or no such bucket")
	case (status == http.StatusForbidden || status == http.StatusUnauthorized) && key == (Key{}):
		return fault.Invalidf("package.bucketName",
			"the object is not public; put a key that may read it into the secret object-storage, as access-key-id and secret-access-key")
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fault.Invalidf("package.bucketName", "the object storage refuses the key of the secret object-storage")
	case status >= 500 || status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: the object storage answered with status %d", fault.ErrUnavailable, status)
	default:
		return fault.Invalidf("package.objectName", "the object storage answered with status %d", status)
	}
}
