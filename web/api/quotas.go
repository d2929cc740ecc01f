package api

import (
	"fmt"
	"slices"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
)

// TenantQuotas is what a tenant may have and has.
type TenantQuotas struct {
	FolderID string       `json:"folderId"`
	Quotas   []QuotaState `json:"quotas"`
	AllowNet string       `json:"allowNet" doc:"What the tenant's functions may reach at most, as in a version; *: whatever the server allows."`
}

// QuotaState is what a tenant may have and has of one thing.
type QuotaState struct {
	Name     string `json:"name" doc:"functions, versions, codeBytes, imageBytes, instances, memory, calls, timers, asyncCalls, asyncBytes, logBytes, logStreams, callBytes, connections or trafficBytes."`
	Limit    Int64  `json:"limit" doc:"-1: none."`
	Use      Int64  `json:"use" doc:"Of calls, instances and trafficBytes, on all nodes; of memory, imageBytes, sessions, logStreams and connections, on this one."`
	Exceeded Int64  `json:"exceeded" doc:"How often this server has refused more since its start."`
}

// ListTenantsResponse is a page of the tenants that have something, or quotas or a
// ceiling of their own, in order of name.
type ListTenantsResponse struct {
	Tenants       []*TenantQuotas `json:"tenants" doc:"Without asyncCalls and asyncBytes, which GET /quotas counts."`
	NextPageToken string          `json:"nextPageToken"`
}

// SetQuotasRequest is the body of PATCH /quotas.
type SetQuotasRequest struct {
	FolderID string           `json:"folderId" doc:"The tenant."`
	Limits   map[string]Int64 `json:"limits" doc:"By name; others stay. 0: the default; -1: no limit."`
	AllowNet *string          `json:"allowNet" doc:"What the tenant's functions may reach at most, as in a version; empty: nothing; *: whatever the server allows. Default: as it was."`
}

func (h *Handler) getQuotas(q *request) (any, error) {
	of, err := h.host.Tenants().Quotas(q.Context(), q.principal, "")
	if fault.Of(err) == fault.NotFound { // a folder of somebody else
		err = &fault.NotFoundError{Thing: "folder", Name: q.query.Get(folderParameter.name)}
	}
	return newTenantQuotas(of), err
}

func (h *Handler) listTenants(q *request) (any, error) {
	// The query's folder narrows who asks, and this takes who acts for all.
	all, err := h.host.Tenants().All(access.PrincipalOf(q.Context()))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(of host.TenantQuotas) bool {
		return !q.principal.ActsFor(of.Tenant) || catalog.ValidateTenant("tenant", of.Tenant) != nil // such as the playground
	})
	all, next, err := page(q, all, func(of host.TenantQuotas) string { return of.Tenant })
	if err != nil {
		return nil, err
	}
	answer := &ListTenantsResponse{Tenants: []*TenantQuotas{}, NextPageToken: next}
	for _, of := range all {
		tenant := newTenantQuotas(of)
		tenant.Quotas = slices.DeleteFunc(tenant.Quotas, func(s QuotaState) bool {
			return s.Name == quota.AsyncCalls.String() || s.Name == quota.AsyncBytes.String()
		})
		answer.Tenants = append(answer.Tenants, tenant)
	}
	return answer, nil
}

func newTenantQuotas(of host.TenantQuotas) *TenantQuotas {
	answer := &TenantQuotas{FolderID: of.Tenant, AllowNet: of.Ceiling.String()}
	for i := range quota.Count {
		answer.Quotas = append(answer.Quotas, QuotaState{
			i.String(), Int64(max(of.Limits[i], -1)), Int64(of.Use[i] + of.Elsewhere[i]), Int64(of.Exceeded[i]),
		})
	}
	return answer
}

// setQuotas is for those who may do everything, for all tenants: nobody sets
// limits for himself.
func (h *Handler) setQuotas(q *request) (any, error) {
	body := q.body.(*SetQuotasRequest)
	if body.FolderID == "" {
		return nil, invalid("folderId", "is missing; give the name of a tenant, such as "+access.DefaultTenant)
	}
	changes := map[quota.Quota]int64{}
	for name, n := range body.Limits {
		which, ok := quota.Of(name)
		switch {
		case !ok:
			return nil, invalid("limits."+name, "there is no such quota; GET /quotas names all")
		case n < -1:
			return nil, invalid("limits."+name, fmt.Sprintf("%d must be 0 (the default), -1 (no limit) or more", n))
		}
		changes[which] = int64(n)
	}
	if !q.principal.ActsFor(body.FolderID) {
		return nil, &fault.NotFoundError{Thing: "folder", Name: body.FolderID}
	}
	// The query's folder narrows who asks, and this takes who acts for all.
	caller := access.PrincipalOf(q.Context())
	if body.AllowNet != nil {
		if err := h.host.Tenants().SetCeiling(q.Context(), caller, body.FolderID, *body.AllowNet); err != nil {
			return nil, err
		}
	}
	if err := h.host.Tenants().SetQuotas(q.Context(), caller, body.FolderID, changes); err != nil {
		return nil, err
	}
	of, err := h.host.Tenants().Quotas(q.Context(), caller, body.FolderID)
	return newTenantQuotas(of), err
}
