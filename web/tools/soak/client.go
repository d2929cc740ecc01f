package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"vivarium/web/api"
)

// revisionHeader tells another node what a request builds on.
const revisionHeader = "Vivarium-Revision"

// callLimit bounds each request: after that it counts as lost.
const callLimit = 60 * time.Second

// client talks to the program as one tenant.
type client struct {
	base   func() string     // http://ADDRESS of the program as it runs now
	tenant string            // "" for the operator
	keys   map[string]string // by tenant; filled before the load
	peer   string            // what its functions may talk to
	http   *http.Client
	known  *atomic.Value // string: what the last change's answer has told of what there is; nil to say nothing of it
}

// client returns the client of a tenant. All clients are created here.
func (d *driver) client(tenant string) *client {
	c := &client{base: d.target.base, tenant: tenant, keys: d.keys, http: d.http, known: &d.known}
	if d.peer != nil { // tests of the driver have none
		c.peer = d.peer.address
	}
	return c
}

// answer is a complete response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request. An error means that no complete response came.
func (c *client) call(ctx context.Context, method, path string, header http.Header, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if key := c.keys[c.tenant]; key != "" {
		r.Header.Set("Authorization", "Api-Key "+key)
	}
	manages := c.known != nil && strings.HasPrefix(path, api.BasePath)
	if manages {
		if known, ok := c.known.Load().(string); ok {
			r.Header.Set(revisionHeader, known)
		}
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if known := response.Header.Get(revisionHeader); manages && known != "" && method != http.MethodGet {
		c.known.Store(known)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{response.StatusCode, response.Header, text}, nil
}

// errUnavailable means that the program refused with 503.
var errUnavailable = errors.New("503")

// manage calls the management API, and decodes the response of an operation, or
// the response itself, into result.
func (c *client) manage(ctx context.Context, method, path string, body, result any) error {
	var text []byte
	header := http.Header{}
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
		header.Set("Content-Type", "application/json")
	}
	a, err := c.call(ctx, method, api.BasePath+path, header, text)
	if err != nil {
		return err
	}
	if a.status == http.StatusServiceUnavailable {
		return fmt.Errorf("%w: %s", errUnavailable, a.body)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s %s: status %d: %s", method, path, a.status, a.body)
	}
	var operation struct {
		Done     *bool
		Response json.RawMessage
		Error    *api.Status
	}
	if method != http.MethodGet {
		if err := json.Unmarshal(a.body, &operation); err != nil {
			return err
		}
		if operation.Error != nil {
			return operation.Error
		}
		a.body = operation.Response
	}
	if result == nil || len(a.body) == 0 {
		return nil
	}
	return json.Unmarshal(a.body, result)
}

// plain is manage for what answers with no operation.
func (c *client) plain(ctx context.Context, method, path string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	a, err := c.call(ctx, method, api.BasePath+path, asJSON, text)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errUnavailable, a.body)
	case a.status != http.StatusOK:
		return fmt.Errorf("%s %s: status %d: %s", method, path, a.status, a.body)
	}
	return json.Unmarshal(a.body, result)
}

// makeKeys creates a key for the operator, after which keys are required, and
// with it one for each tenant.
func (d *driver) makeKeys(ctx context.Context, tenants []string) error {
	for _, key := range append([]api.CreateKeyRequest{{Tenant: "*", Role: "admin"}}, deployers(tenants)...) {
		text, err := json.Marshal(key)
		if err != nil {
			return err
		}
		a, err := d.client("").call(ctx, http.MethodPost, api.BasePath+"/keys", asJSON, text)
		if err != nil {
			return err
		}
		var made api.CreateKeyResponse
		if a.status != http.StatusOK || json.Unmarshal(a.body, &made) != nil || made.Secret == "" {
			return fmt.Errorf("key for %s: status %d: %s", key.Tenant, a.status, a.body)
		}
		d.keys[strings.TrimPrefix(key.Tenant, "*")] = made.Secret
	}
	return nil
}

func deployers(tenants []string) []api.CreateKeyRequest {
	var keys []api.CreateKeyRequest
	for _, tenant := range tenants {
		keys = append(keys, api.CreateKeyRequest{Tenant: tenant, Role: "deployer"})
	}
	return keys
}

// functionError returns the error type in a function's response.
func (a *answer) functionError() string {
	var e struct{ ErrorType string }
	if a.header.Get("X-Function-Error") != "true" || json.Unmarshal(a.body, &e) != nil {
		return ""
	}
	return e.ErrorType
}

// archive packs files.
func archive(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
