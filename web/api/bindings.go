package api

import (
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

// PublicBinding returns the access binding that makes a function public.
func PublicBinding() AccessBinding {
	return AccessBinding{RoleID: "functions.functionInvoker", Subject: Subject{ID: "allUsers", Type: "system"}}
}

// check reports whether a binding is the one that there can be.
func (b AccessBinding) check(field string) error {
	if b.RoleID == "serverless.functions.invoker" { // what the role used to be called
		b.RoleID = PublicBinding().RoleID
	}
	if b != PublicBinding() {
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
		answer.AccessBindings = append(answer.AccessBindings, PublicBinding())
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
	public := len(body.AccessBindings) > 0
	return h.setPublic(q, "Set access bindings", "yandex.cloud.access.SetAccessBindingsMetadata", &public)
}

func (h *Handler) updateBindings(q *request) (any, error) {
	var public *bool
	for i, d := range q.body.(*UpdateAccessBindingsRequest).Deltas {
		field := fmt.Sprintf("accessBindingDeltas[%d]", i)
		if err := d.AccessBinding.check(field + ".accessBinding"); err != nil {
			return nil, err
		}
		if d.Action != "ADD" && d.Action != "REMOVE" {
			return nil, invalid(field+".action", "must be ADD or REMOVE")
		}
		add := d.Action == "ADD"
		public = &add
	}
	return h.setPublic(q, "Update access bindings", "yandex.cloud.access.UpdateAccessBindingsMetadata", public)
}

// setPublic says whether anybody may call a function; nil leaves it as it is.
func (h *Handler) setPublic(q *request, description, kind string, public *bool) (any, error) {
	started := now()
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err == nil && public != nil {
		f, err = h.host.Catalog().SetPublic(q.Context(), q.principal, f.ID, *public)
	}
	if err != nil {
		return nil, err
	}
	return h.done(q, description, kind, of(f), started, ids{"resourceId": f.ID}, nil), nil
}
