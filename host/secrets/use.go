package secrets

import (
	"fmt"
	"slices"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Pin implements catalog.Secrets: it returns references of a tenant's version with ids in
// place of names, and the current version where none is named.
//
// # Errors
//
// *fault.NotFoundError; *fault.ConflictError if it can't be decrypted here;
// *fault.InvalidError.
func (v *Vault) Pin(tenant string, references []catalog.SecretReference) (pinned []catalog.SecretReference, size int, err error) {
	p := access.Principal{Tenant: tenant}
	for _, r := range references {
		e := v.find(p, r.ID)
		if e == nil {
			return nil, 0, &fault.NotFoundError{Thing: "secret", Name: r.ID}
		}
		version := e.Record.current()
		if r.VersionID != "" {
			i := slices.IndexFunc(e.Record.Versions, func(version Version) bool { return version.ID == r.VersionID })
			if i < 0 {
				return nil, 0, &fault.NotFoundError{Thing: "version of secret", Name: r.VersionID}
			}
			version = &e.Record.Versions[i]
		}
		entries, err := v.entries(&e.Record, version)
		if err != nil {
			return nil, 0, fault.Conflictf("secret", e.Record.Name, "can't be used: %v", err)
		}
		value, ok := entries[r.Key]
		if !ok {
			return nil, 0, fault.Invalidf("secrets", "the secret %s has no key %.80q; it has %v", e.Record.Name, r.Key, version.Keys)
		}
		r.ID, r.VersionID = e.Record.ID, version.ID
		pinned = append(pinned, r)
		size += len(r.Variable) + len(value)
	}
	return pinned, size, nil
}

// Values returns the environment variables that a version gets of secrets. It does not
// block.
//
// # Errors
//
// *fault.FunctionError when one was deleted; anything else is the operator's to mend.
func (v *Vault) Values(version *catalog.Version) (map[string]string, error) {
	if len(version.Secrets) == 0 {
		return nil, nil
	}
	values := map[string]string{}
	p := access.Principal{Tenant: version.Tenant}
	for _, r := range version.Secrets {
		e := v.find(p, r.ID)
		i := -1
		if e != nil {
			i = slices.IndexFunc(e.Record.Versions, func(version Version) bool { return version.ID == r.VersionID })
		}
		if i < 0 {
			return nil, &fault.FunctionError{Type: "SecretNotFound",
				Message: fmt.Sprintf("the secret of the variable %s was deleted; set it again and deploy the function again", r.Variable)}
		}
		entries, err := v.entries(&e.Record, &e.Record.Versions[i])
		if err != nil {
			return nil, fmt.Errorf("secret %s, version %s: %w", e.Record.reference(), r.VersionID, err)
		}
		values[r.Variable] = entries[r.Key]
	}
	return values, nil
}
