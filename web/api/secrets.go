package api

import (
	"vivarium/host/catalog"
	"vivarium/host/secrets"
)

// Secret is a secret. Nothing shows its values.
type Secret struct {
	ID          string          `json:"id"`
	FolderID    string          `json:"folderId"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	CreatedAt   Time            `json:"createdAt"`
	Versions    []SecretVersion `json:"versions" doc:"Oldest first; the last one is current."`
}

// SecretVersion is an immutable version of a secret.
type SecretVersion struct {
	ID        string   `json:"id"`
	CreatedAt Time     `json:"createdAt"`
	Keys      []string `json:"keys" doc:"Of its entries, by name."`
}

// Current returns the version that a reference without one means.
func (s *Secret) Current() *SecretVersion { return &s.Versions[len(s.Versions)-1] }

// SecretReference is an environment variable whose value is an entry of a secret.
type SecretReference struct {
	ID        string `json:"id" doc:"Of the secret, in the same folder. In a request, its name will do."`
	VersionID string `json:"versionId" doc:"Of the secret. Default: its current version, which the function's version then keeps."`
	Key       string `json:"key" doc:"Of the entry."`
	Variable  string `json:"environmentVariable"`
}

// SetSecretRequest is the body of POST /secrets.
type SetSecretRequest struct {
	Name        string            `json:"name" doc:"3 to 63 lower-case letters, digits and hyphens."`
	Description *string           `json:"description" doc:"Default: as it was."`
	Entries     map[string]string `json:"entries" doc:"Values by key, at most 4096 bytes each. Keys that are not named keep the values of the version before."`
	Only        bool              `json:"only" doc:"The new version has these entries alone."`
}

// ListSecretsResponse is secrets, in order of tenant and name.
type ListSecretsResponse struct {
	Secrets []*Secret `json:"secrets"`
}

func newSecret(s secrets.Secret) *Secret {
	secret := &Secret{
		ID: s.ID, FolderID: s.Tenant, Name: s.Name, Description: s.Description, CreatedAt: Time(s.CreatedAt), Versions: []SecretVersion{},
	}
	for _, v := range s.Versions {
		secret.Versions = append(secret.Versions, SecretVersion{v.ID, Time(v.CreatedAt), v.Keys})
	}
	return secret
}

func newReferences(references []catalog.SecretReference) (all []SecretReference) {
	for _, r := range references {
		all = append(all, SecretReference(r))
	}
	return all
}

func references(of []SecretReference) (all []catalog.SecretReference) {
	for _, r := range of {
		all = append(all, catalog.SecretReference(r))
	}
	return all
}

func (h *Handler) listSecrets(q *request) (any, error) {
	all, err := h.host.Secrets().Secrets(q.principal)
	if err != nil {
		return nil, err
	}
	answer := &ListSecretsResponse{Secrets: []*Secret{}}
	for _, s := range all {
		answer.Secrets = append(answer.Secrets, newSecret(s))
	}
	return answer, nil
}

func (h *Handler) setSecret(q *request) (any, error) {
	started, body := now(), q.body.(*SetSecretRequest)
	s, err := h.host.Secrets().SetSecret(q.Context(), q.principal, secrets.Spec{
		Name: body.Name, Description: body.Description, Entries: body.Entries, Only: body.Only,
	})
	if err != nil {
		return nil, err
	}
	return h.done(q, "Set secret", "SetSecretMetadata", subject{tenant: s.Tenant}, started, ids{"secretId": s.ID}, s), nil
}

func (h *Handler) deleteSecret(q *request) (any, error) {
	started := now()
	s, err := h.host.Secrets().DeleteSecret(q.Context(), q.principal, q.path["secretId"])
	if err != nil {
		return nil, err
	}
	return h.done(q, "Delete secret", "DeleteSecretMetadata", subject{tenant: s.Tenant}, started, ids{"secretId": s.ID}, nil), nil
}
