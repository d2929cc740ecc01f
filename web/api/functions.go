package api

import (
	"fmt"
	"slices"
	"strings"

	"vivarium/host/catalog"
	"vivarium/web/manage"
)

// CreateFunctionRequest is the body of POST /functions.
type CreateFunctionRequest struct {
	FolderID    string            `json:"folderId" doc:"Whose the function is. Default: the key's; default, when the key is of all."`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
}

// UpdateFunctionRequest is the body of PATCH /functions/{functionId}.
type UpdateFunctionRequest struct {
	UpdateMask  string            `json:"updateMask" doc:"Comma-separated fields to change. Default: those that the request has."`
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Labels      map[string]string `json:"labels"`
	Calls       *CallPolicy       `json:"calls" doc:"What is kept of its calls from now on. Not the cloud's."`
}

// ListFunctionsResponse is a page of functions, in order of name and id.
type ListFunctionsResponse struct {
	Functions     []*Function `json:"functions"`
	NextPageToken string      `json:"nextPageToken,omitempty"`
}

// ListTagHistoryResponse is which versions have carried tags, newest first.
type ListTagHistoryResponse struct {
	History       []TagEvent `json:"functionTagHistoryRecord"`
	NextPageToken string     `json:"nextPageToken,omitempty"`
}

// ListOperationsResponse is the last changes of a function, newest first.
type ListOperationsResponse struct {
	Operations    []*Operation `json:"operations"`
	NextPageToken string       `json:"nextPageToken,omitempty"`
}

func (h *Handler) listFunctions(q *request) (any, error) {
	all, err := h.host.Catalog().Functions(q.principal)
	if err != nil {
		return nil, err
	}
	named, err := manage.Filter(all, q.query.Get("filter"), func(f catalog.FunctionInfo) string { return f.Name })
	if err != nil {
		return nil, err
	}
	functions, next, err := page(q, named, manage.FunctionKey)
	if err != nil {
		return nil, err
	}
	answer := &ListFunctionsResponse{Functions: []*Function{}, NextPageToken: next}
	for _, f := range functions {
		answer.Functions = append(answer.Functions, q.function(f))
	}
	return answer, nil
}

func (h *Handler) createFunction(q *request) (any, error) {
	started, body := now(), q.body.(*CreateFunctionRequest)
	f, err := h.host.Catalog().CreateFunction(q.Context(), q.principal, catalog.FunctionSpec{
		Name: body.Name, Description: body.Description, Labels: body.Labels, Tenant: body.FolderID,
	})
	if err != nil {
		return nil, err
	}
	return h.done(q, "Create function", "CreateFunctionMetadata", of(f), started,
		ids{"functionId": f.ID}, f), nil
}

func (h *Handler) getFunction(q *request) (any, error) {
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	return q.function(f), nil
}

func (h *Handler) updateFunction(q *request) (any, error) {
	started, body := now(), q.body.(*UpdateFunctionRequest)
	if err := body.mask(); err != nil {
		return nil, err
	}
	f, err := h.host.Catalog().UpdateFunction(q.Context(), q.principal, q.path["functionId"], catalog.FunctionUpdate{
		Name: body.Name, Description: body.Description, Labels: body.Labels, Calls: body.Calls.policy(),
	})
	if err != nil {
		return nil, err
	}
	return h.done(q, "Update function", "UpdateFunctionMetadata", of(f), started,
		ids{"functionId": f.ID}, f), nil
}

// mask makes the request have exactly the fields that its mask names.
func (u *UpdateFunctionRequest) mask() error {
	if u.UpdateMask == "" {
		return nil
	}
	fields := strings.Split(u.UpdateMask, ",")
	for i, field := range fields {
		fields[i] = strings.TrimSpace(field)
		if !slices.Contains([]string{"name", "description", "labels", "calls"}, fields[i]) {
			return invalid("updateMask", fmt.Sprintf("%.80q can't be changed; name, description, labels and calls can", fields[i]))
		}
	}
	var masked UpdateFunctionRequest
	if slices.Contains(fields, "name") {
		if masked.Name = u.Name; u.Name == nil {
			masked.Name = new(string)
		}
	}
	if slices.Contains(fields, "description") {
		if masked.Description = u.Description; u.Description == nil {
			masked.Description = new(string)
		}
	}
	if slices.Contains(fields, "labels") {
		if masked.Labels = u.Labels; u.Labels == nil {
			masked.Labels = map[string]string{}
		}
	}
	if slices.Contains(fields, "calls") {
		if masked.Calls = u.Calls; u.Calls == nil {
			masked.Calls = &CallPolicy{}
		}
	}
	*u = masked
	return nil
}

func (h *Handler) deleteFunction(q *request) (any, error) {
	started := now()
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	return h.drain(q, "Delete function", "DeleteFunctionMetadata", of(f), started, ids{"functionId": f.ID}, func() error {
		return h.host.Catalog().DeleteFunction(noEnd(q.Context()), q.principal, f.ID)
	})
}

func (h *Handler) tagHistory(q *request) (any, error) {
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	events, err := h.host.Catalog().TagHistory(q.principal, f.ID)
	if err != nil {
		return nil, err
	}
	if tag := q.query.Get("tag"); tag != "" {
		events = slices.DeleteFunc(events, func(e catalog.TagEvent) bool { return e.Tag != tag })
	}
	events, next, err := page(q, events, manage.TagEventKey)
	answer := &ListTagHistoryResponse{History: []TagEvent{}, NextPageToken: next}
	for _, e := range events {
		answer.History = append(answer.History, newTagEvent(f.ID, e))
	}
	return answer, err
}

func (h *Handler) listOperations(q *request) (any, error) {
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	all, err := h.desk.Operations.Of(q.Context(), f.Tenant, f.ID)
	if err != nil {
		return nil, err
	}
	found, next, err := page(q, all, manage.OperationKey)
	return &OperationPage{found, next}, err
}
