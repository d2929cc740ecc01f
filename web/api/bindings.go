package api

import (
	"cmp"
	"fmt"
)

// AccessBinding gives a subject a role for a function. There is one: that all
// users, known or not, may call it, which makes it public.
type AccessBinding struct {
	RoleID  string  `json:"roleId" doc:"functions.functionInvoker."`
	Subject Subject `json:"subject"`
}

// Subject is who gets a role.
type Subject struct {
	ID   string `json:"id" doc:"allUsers."`
	Type string `json:"type" doc:"system."`
}

// SetAccessBindingsRequest is the body of POST
// /functions/{functionId}:setAccessBindings.
type SetAccessBindingsRequest struct {
	AccessBindings []AccessBinding `json:"accessBindings" doc:"All that there are to be; none makes the function private."`
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

// check reports whether a binding is the one that there can be.
func (b AccessBinding) check(field string) error {
	public := PublicBinding()
	if b.RoleID == formerRole {
		public.RoleID = formerRole
	}
	if b != public {
		return invalid(field, "must have the role functions.functionInvoker and the subject allUsers of type system: "+
			"this makes a function public; for anything else, make a key")
	}
	return nil
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
	return answer, nil
}

func (h *Handler) setBindings(q *request) (any, error) {
	body := q.body.(*SetAccessBindingsRequest)
	for i, b := range body.AccessBindings {
		if err := b.check(fmt.Sprintf("accessBindings[%d]", i)); err != nil {
			return nil, err
		}
	}
	var role string
	for _, b := range body.AccessBindings {
		role = b.RoleID
	}
	return h.setPublic(q, "Set access bindings", "yandex.cloud.access.SetAccessBindingsMetadata", &role)
}

func (h *Handler) updateBindings(q *request) (any, error) {
	var role *string
	for i, d := range q.body.(*UpdateAccessBindingsRequest).Deltas {
		field := fmt.Sprintf("accessBindingDeltas[%d]", i)
		if err := d.AccessBinding.check(field + ".accessBinding"); err != nil {
			return nil, err
		}
		if d.Action != "ADD" && d.Action != "REMOVE" {
			return nil, invalid(field+".action", "must be ADD or REMOVE")
		}
		if role = new(string); d.Action == "ADD" {
			*role = d.AccessBinding.RoleID
		}
	}
	return h.setPublic(q, "Update access bindings", "yandex.cloud.access.UpdateAccessBindingsMetadata", role)
}

// setPublic says by which role anybody may call a function: by none when it is empty; nil
// leaves it as it is.
func (h *Handler) setPublic(q *request, description, kind string, role *string) (any, error) {
	started := now()
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err == nil && role != nil {
		f, err = h.host.Catalog().SetPublic(q.Context(), q.principal, f.ID, *role != "", *role)
	}
	if err != nil {
		return nil, err
	}
	return h.done(q, description, kind, of(f), started, ids{"resourceId": f.ID}, nil), nil
}
