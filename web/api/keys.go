package api

import (
	"vivarium/host/access"
	"vivarium/host/keys"
)

// Key lets its holder act for a tenant.
type Key struct {
	ID          string `json:"id"`
	Tenant      string `json:"tenant" doc:"A folder, or * for all."`
	Role        string `json:"role" doc:"invoker calls functions; deployer also manages them; admin also manages keys and access bindings."`
	Description string `json:"description"`
	CreatedAt   Time   `json:"createdAt"`
	PublicKey   string `json:"publicKey,omitempty" doc:"Of a key whose holder signs, PEM."`
}

// CreateKeyRequest is the body of POST /keys.
type CreateKeyRequest struct {
	Tenant      string `json:"tenant" doc:"A folder, or * for all. Default: that of the key that the request is made with."`
	Role        string `json:"role" doc:"invoker, deployer or admin."`
	Description string `json:"description"`
	PublicKey   string `json:"publicKey,omitempty" doc:"PEM, RSA: the holder signs for tokens, as the cloud's SDKs do with a service account's key. There is no secret then."`
}

// CreateKeyResponse is a new key with its secret.
type CreateKeyResponse struct {
	Key    Key    `json:"key"`
	Secret string `json:"secret" doc:"To be sent as Authorization: Api-Key SECRET. It is shown this once; empty for a key with a publicKey."`
}

// ListKeysResponse is keys, by tenant and age.
type ListKeysResponse struct {
	Keys []Key `json:"keys"`
}

// WhoamiResponse says as whom the server takes a request.
type WhoamiResponse struct {
	Open   bool   `json:"open" doc:"Nobody needs a key."`
	Tenant string `json:"tenant" doc:"A folder, or * for all; empty without a valid key."`
	Role   string `json:"role" doc:"Empty without a valid key."`
}

// NewKey describes a key.
func NewKey(k keys.Key) Key {
	return Key{
		ID: k.ID, Tenant: k.Tenant, Role: string(k.Role), Description: k.Description, CreatedAt: Time(k.CreatedAt), PublicKey: k.PublicKey,
	}
}

func (h *Handler) whoami(q *request) (any, error) {
	p := q.principal
	return &WhoamiResponse{Open: !p.Anonymous() && p.KeyID == "", Tenant: p.Tenant, Role: string(p.Role)}, nil
}

func (h *Handler) listKeys(q *request) (any, error) {
	answer := &ListKeysResponse{Keys: []Key{}}
	if q.principal.Tenant == "" { // a folder of somebody else
		return answer, nil
	}
	keys, err := h.host.Keys().List(q.principal)
	for _, k := range keys {
		answer.Keys = append(answer.Keys, NewKey(k))
	}
	return answer, err
}

// createKey answers with no operation: those are kept, and the secret must not be.
func (h *Handler) createKey(q *request) (any, error) {
	body := q.body.(*CreateKeyRequest)
	k, secret, err := h.host.Keys().Create(q.Context(), q.principal, keys.Spec{
		Tenant: body.Tenant, Role: access.Role(body.Role), Description: body.Description, PublicKey: body.PublicKey,
	})
	if err != nil {
		return nil, err
	}
	q.w.Header().Set("Cache-Control", "no-store")
	return &CreateKeyResponse{NewKey(k), secret}, nil
}

func (h *Handler) deleteKey(q *request) (any, error) {
	started, id := now(), q.path["keyId"]
	if err := h.host.Keys().Delete(q.Context(), q.principal, id); err != nil {
		return nil, err
	}
	return h.done(q, "Delete key", "DeleteKeyMetadata", subject{tenant: q.principal.Tenant}, started, ids{"keyId": id}, nil), nil
}
