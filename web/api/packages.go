package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/web/objects"
)

// Package is an archive in an object storage.
type Package struct {
	BucketName string `json:"bucketName"`
	ObjectName string `json:"objectName"`
	SHA256     string `json:"sha256" doc:"Of the archive, in hexadecimal; it is compared if it is there."`
}

// hasOneSource reports whether the request says in one way where the code comes from.
func (r *CreateVersionRequest) hasOneSource() bool {
	ways := 0
	for _, given := range []bool{len(r.Content) > 0, r.Package != nil, r.VersionID != ""} {
		if given {
			ways++
		}
	}
	return ways == 1
}

// storageSecret is the tenant's secret with its key for the object storage: the tenant's own,
// so that nobody reads by means of the server what he could not read himself.
const storageSecret = "object-storage"

// fetch takes the request's package as its content. The caller releases the memory.
func (h *Handler) fetch(q *request, r *CreateVersionRequest) (release func(), err error) {
	if h.config.Objects == nil {
		return nil, invalid("package", "is not supported: this server has no object storage (serve --object-storage); send the archive as content")
	}
	want, err := hex.DecodeString(r.Package.SHA256)
	if err != nil || len(want) != 0 && len(want) != sha256.Size {
		return nil, invalid("package.sha256", "must be a SHA-256 in hexadecimal, 64 digits")
	}
	f, err := h.host.Catalog().Function(q.principal, r.FunctionID)
	if err != nil {
		return nil, err
	}
	key, err := h.storageKey(f.Tenant)
	if err != nil {
		return nil, err
	}
	release = func() {}
	reserve := func(bytes int64) error {
		give, err := h.host.Ledger().Reserve(f.Tenant, quota.Body, bytes)
		if err == nil {
			release = give
		}
		return err
	}
	object := objects.Object{Bucket: r.Package.BucketName, Name: r.Package.ObjectName}
	if r.Content, err = h.config.Objects.Fetch(q.Context(), key, object, MaxContent, reserve); err != nil {
		release()
		return nil, err
	}
	if sum := sha256.Sum256(r.Content); len(want) > 0 && string(want) != string(sum[:]) {
		release()
		return nil, invalid("package.sha256", fmt.Sprintf("is not the object's, which is %x", sum))
	}
	return release, nil
}

// storageKey returns a tenant's key for the object storage; the zero value if it has none.
func (h *Handler) storageKey(tenant string) (key objects.Key, err error) {
	pinned, _, err := h.host.Secrets().Pin(tenant, []catalog.SecretReference{
		{ID: storageSecret, Key: "access-key-id", Variable: "id"},
		{ID: storageSecret, Key: "secret-access-key", Variable: "secret"},
	})
	if _, none := errors.AsType[*fault.NotFoundError](err); none {
		return objects.Key{}, nil
	}
	if err != nil {
		return objects.Key{}, err
	}
	values, err := h.host.Secrets().Values(&catalog.Version{Tenant: tenant, VersionSpec: catalog.VersionSpec{Secrets: pinned}})
	return objects.Key{ID: strings.TrimSpace(values["id"]), Secret: strings.TrimSpace(values["secret"])}, err
}
