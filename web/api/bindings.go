package api

import (
	"cmp"
	"fmt"

	"vivarium/host/accounts"
	"vivarium/host/catalog"
)

// AccessBinding gives a subject a role for a function. There are two kinds: that all
// users, known or not, may call it, which makes it public; and that a service account may,
// which is kept, and true of all of the function's folder (package accounts).
type AccessBinding struct {
	RoleID  string  `json:"roleId" doc:"functions.functionInvoker."`
	Subject Subject `json:"subject"`
}

// Subject is who gets a role.
type Subject struct {
	ID   string `json:"id" doc:"allUsers, or the id of a service account."`
	Type string `json:"type" doc:"system, or serviceAccount."`
}

// SetAccessBindingsRequest is the body of POST
// /functions/{functionId}:setAccessBindings.
type SetAccessBindingsRequest struct {
	AccessBindings []AccessBinding `json:"accessBindings" doc:"All that there are to be; without that of allUsers the function is private."`
}

// UpdateAccessBindingsRequest is the body of POST
// /functions/{functionId}:updateAccessBindings.
type UpdateAccessBindingsRequest struct {
	Deltas []AccessBindingDelta `json:"accessBindingDeltas"`
}

// AccessBindingDelta adds or removes one access binding.
type AccessBindingDelta struct {
	Action        string        `json:"action" doc:"ADD or REMOVE."`
	AccessBinding AccessBinding `json:"accessBinding"`
}

// ListAccessBindingsResponse is a function's access bindings.
type ListAccessBindingsResponse struct {
	AccessBindings []AccessBinding `json:"accessBindings"`
	NextPageToken  string          `json:"nextPageToken,omitempty"`
}

// formerRole is what the role of the public binding used to be called.
const formerRole = "serverless.functions.invoker"

// PublicBinding returns the access binding that makes a function public.
func PublicBinding() AccessBinding {
	return AccessBinding{RoleID: "functions.functionInvoker", Subject: Subject{ID: "allUsers", Type: "system"}}
}

// accountType is the type of subjects that are service accounts.
const accountType = "serviceAccount"

// checkBinding reports whether a binding is one that there can be.
func (h *Handler) checkBinding(q *request, field string, b AccessBinding) error {
	public := PublicBinding()
	switch {
	case b.RoleID != public.RoleID && b.RoleID != formerRole:
	case b.Subject == public.Subject:
		return nil
	case b.Subject.Type == accountType:
		return h.host.Accounts().Check(q.principal, accounts.Binding{AccountID: b.Subject.ID, Role: b.RoleID})
	}
	return invalid(field, "must have the role functions.functionInvoker and the subject allUsers of type system, "+
		"which makes a function public, or a service account of type serviceAccount; for anything else, make a key")
}

// split parts bindings into the role that makes a function public, empty if there is none,
// and those of service accounts.
func split(bindings []AccessBinding) (public string, others []accounts.Binding) {
	for _, b := range bindings {
		if b.Subject.Type == accountType {
			others = append(others, accounts.Binding{AccountID: b.Subject.ID, Role: b.RoleID})
			continue
		}
		public = b.RoleID
	}
	return public, others
}

func (h *Handler) listBindings(q *request) (any, error) {
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	answer := &ListAccessBindingsResponse{AccessBindings: []AccessBinding{}}
	if f.Public {
		public := PublicBinding()
		public.RoleID = cmp.Or(f.PublicRole, public.RoleID) // as it was made, by which clients look for it
		answer.AccessBindings = append(answer.AccessBindings, public)
	}
	bound, err := h.host.Accounts().Bindings(q.principal.In(f.Tenant), f.ID)
	for _, b := range bound {
		answer.AccessBindings = append(answer.AccessBindings, AccessBinding{b.Role, Subject{b.AccountID, accountType}})
	}
	return answer, err
}

func (h *Handler) setBindings(q *request) (any, error) {
	body := q.body.(*SetAccessBindingsRequest)
	for i, b := range body.AccessBindings {
		if err := h.checkBinding(q, fmt.Sprintf("accessBindings[%d]", i), b); err != nil {
			return nil, err
		}
	}
	public, others := split(body.AccessBindings)
	return h.bind(q, "Set access bindings", "yandex.cloud.access.SetAccessBindingsMetadata", &public, func(f catalog.FunctionInfo) error {
		_, err := h.host.Accounts().BindServiceAccounts(q.Context(), q.principal.In(f.Tenant), f.ID, others, nil, true)
		return err
	})
}

func (h *Handler) updateBindings(q *request) (any, error) {
	var public *string
	var added, removed []AccessBinding
	for i, d := range q.body.(*UpdateAccessBindingsRequest).Deltas {
		field := fmt.Sprintf("accessBindingDeltas[%d]", i)
		if d.Action != "ADD" && d.Action != "REMOVE" {
			return nil, invalid(field+".action", "must be ADD or REMOVE")
		}
		// An account that has gone has taken its roles with it.
		if d.Action == "ADD" || d.AccessBinding.Subject.Type != accountType {
			if err := h.checkBinding(q, field+".accessBinding", d.AccessBinding); err != nil {
				return nil, err
			}
		}
		if d.Action == "ADD" {
			added = append(added, d.AccessBinding)
		} else {
			removed = append(removed, d.AccessBinding)
		}
		if d.AccessBinding.Subject.Type != accountType {
			if public = new(string); d.Action == "ADD" {
				*public = d.AccessBinding.RoleID
			}
		}
	}
	_, add := split(added)
	_, remove := split(removed)
	return h.bind(q, "Update access bindings", "yandex.cloud.access.UpdateAccessBindingsMetadata", public, func(f catalog.FunctionInfo) error {
		_, err := h.host.Accounts().BindServiceAccounts(q.Context(), q.principal.In(f.Tenant), f.ID, add, remove, false)
		return err
	})
}

// bind says by which role anybody may call a function, by none when it is empty, nil leaves
// it as it is; and what accounts does for service accounts.
func (h *Handler) bind(
	q *request, description, kind string, public *string, accounts func(catalog.FunctionInfo) error,
) (any, error) {
	started := now()
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err == nil {
		err = accounts(f)
	}
	if err == nil && public != nil {
		f, err = h.host.Catalog().SetPublic(q.Context(), q.principal, f.ID, *public != "", *public)
	}
	if err != nil {
		return nil, err
	}
	return h.done(q, description, kind, of(f), started, ids{"resourceId": f.ID}, nil), nil
}
