package api

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Challenge are the headers of an answer that says that a key is needed.
var Challenge = http.Header{"Www-Authenticate": {`Bearer realm="vivarium"`}}

// folderParameter is one that every route has.
var folderParameter = parameter{"folderId", "The folder, or tenant, in which to look. Default: the key's; all, when the key is of all."}

// roleOperator is that of an admin of all tenants.
const roleOperator access.Role = "operator"

// allow says why somebody may not use a route.
func (r *route) allow(p access.Principal) error {
	switch {
	case r.role == "" || p.Role.Includes(r.role) || r.role == roleOperator && p.Role == access.RoleAdmin && p.Tenant == access.AllTenants:
		return nil
	case p.Anonymous():
		return fault.ErrUnauthenticated
	}
	if r.role == roleOperator {
		return &fault.ForbiddenError{Reason: "this takes an admin's key of all tenants"}
	}
	return &fault.ForbiddenError{Reason: fmt.Sprintf("this takes a key with the role %s; yours has the role %s", r.role, p.Role)}
}

// What a caller says is looked up in one place, here, before a route's function
// sees it: the ids and names in the path, in the query and in those fields of a
// body that have a tag ref. It is found only within the caller's tenant, and
// replaced by the id.

// resolve looks up all that a request refers to.
func (h *Handler) resolve(q *request) (err error) {
	if folder := q.query.Get(folderParameter.name); folder != "" {
		switch {
		case q.principal.ActsFor(folder):
			q.principal.Tenant = folder
		case q.Method == http.MethodGet || q.Method == http.MethodHead:
			q.principal.Tenant = "" // where nothing is
		default:
			return &fault.NotFoundError{Thing: "folder", Name: folder}
		}
	}
	q.tenant = q.principal.Tenant
	for name, value := range q.path {
		if q.path[name], err = h.lookup(q, name, value); err != nil {
			return err
		}
	}
	if function := q.query.Get("functionId"); function != "" {
		if function, err = h.lookup(q, "functionId", function); err != nil {
			return err
		}
		q.query.Set("functionId", function)
	}
	return h.resolveBody(q, reflect.ValueOf(q.body))
}

// resolveBody looks up what the fields of a body refer to, in their order.
func (h *Handler) resolveBody(q *request, v reflect.Value) (err error) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return h.resolveBody(q, v.Elem())
		}
	case reflect.Struct:
		for f, value := range v.Fields() {
			kind := f.Tag.Get("ref")
			if kind != "" && value.String() != "" {
				text, err := h.lookup(q, kind, value.String())
				if err != nil {
					return err
				}
				value.SetString(text)
			} else if err := h.resolveBody(q, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup returns the id that somebody means by a text, which is of a kind that
// parameters and the tags of fields name. The request is then about the tenant
// of what was found.
func (h *Handler) lookup(q *request, kind, text string) (id string, err error) {
	switch kind {
	case "functionId":
		f, err := h.host.Find(q.principal, text)
		q.tenant = f.Tenant
		return f.ID, err
	case "target": // of outcomes: these stay in the tenant of the function; it may come and go under its name
		_, err := h.host.Find(access.Principal{Tenant: q.tenant}, text)
		return text, err
	case "functionVersionId":
		v, err := h.host.FindVersion(q.principal, text)
		if err != nil {
			return "", err
		}
		q.tenant = v.Tenant
		return v.ID, nil
	case "sourceVersionId":
		_, err := h.host.FindVersion(q.principal, text)
		return text, err
	case "timerId":
		t, err := h.host.Events().FindTimer(q.principal, text)
		q.tenant = cmp.Or(t.Tenant, catalog.DefaultTenant)
		return t.ID, err
	case "deadLetterId":
		d, err := h.host.Events().FindDeadLetter(q.Context(), q.principal, text)
		return d.ID, err
	case "operationId":
		_, err := h.operation(q, text)
		return text, err
	case "folderId":
		if !q.principal.ActsFor(text) {
			return "", &fault.NotFoundError{Thing: "folder", Name: text}
		}
		return text, nil
	case "keyId": // Keys are told who asks.
		return text, nil
	}
	panic("api: nothing is known of a " + kind)
}
