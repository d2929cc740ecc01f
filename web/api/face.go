package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"vivarium/host/access"
	"vivarium/web/manage"
	"vivarium/web/strictjson"
)

// Route is a request that the API answers, for its other face, gRPC: the cloud's
// definitions say for each method which path stands for it, so that both do the same.
type Route struct{ route *route }

// RouteOf returns the route of a path below BasePath; elements in braces stand for any
// name.
func RouteOf(method, pattern string) (Route, bool) {
	for i := range routes {
		if routes[i].method == method && anonymous(routes[i].path) == anonymous(pattern) {
			return Route{&routes[i]}, true
		}
	}
	return Route{}, false
}

// anonymous returns a pattern without the names of its elements.
func anonymous(pattern string) string {
	elements := strings.Split(pattern, "/")
	for i, element := range elements {
		if name, verb, ok := strings.Cut(element, "}"); ok && strings.HasPrefix(name, "{") {
			elements[i] = "{}" + verb
		}
	}
	return strings.Join(elements, "/")
}

// Does returns the host's operation that the route is.
func (r Route) Does() access.Operation { return r.route.does }

// Upload reports whether the route's body has an archive.
func (r Route) Upload() bool { return r.route.upload }

// Arguments are what a request says.
type Arguments struct {
	Path    []string // the values of the elements in braces, in order; none is empty
	Query   url.Values
	Body    []byte // a JSON object; unused by routes without a body
	Content []byte // the archive, which Body lacks
}

// Ask does what a route does, for the principal in the request's context. The answer is
// a *manage.Operation, an *OperationPage, or one that has the route's form in JSON.
//
// # Errors
//
// Those of which StatusOf makes an answer.
func (h *Handler) Ask(r *http.Request, to Route, a Arguments) (any, error) {
	caller := access.PrincipalOf(r.Context())
	if err := caller.Allow(to.route.does); err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context())
	r.Method = to.route.method
	q := &request{Request: r, path: map[string]string{}, query: a.Query}
	for element := range strings.SplitSeq(to.route.path, "/") {
		name, _, ok := strings.Cut(strings.TrimPrefix(element, "{"), "}")
		if !ok {
			continue
		}
		q.path[name] = a.Path[len(q.path)]
	}
	if err := q.within(to.route, caller); err != nil {
		return nil, err
	}
	if to.route.body != nil {
		q.body = to.route.body()
		if err := strictjson.Decode(a.Body, q.body); err != nil {
			return nil, malformed(err)
		}
		if b, ok := q.body.(*CreateVersionRequest); ok {
			b.Content = a.Content
		}
	}
	return to.route.serve(h, q)
}

// OperationPage is a page of operations, newest first.
type OperationPage struct {
	Operations    []*manage.Operation
	NextPageToken string
}

// answer returns the form in JSON of what a route returns.
func (q *request) answer(v any) any {
	switch v := v.(type) {
	case *manage.Operation:
		return q.operation(v)
	case *OperationPage:
		answer := &ListOperationsResponse{Operations: []*Operation{}, NextPageToken: v.NextPageToken}
		for _, op := range v.Operations {
			answer.Operations = append(answer.Operations, q.operation(op))
		}
		return answer
	}
	return v
}

// Changed returns the form in JSON of an operation's response, which is an object; base is
// the address of the server as the caller knows it.
func Changed(response any, base string) []byte {
	text, err := json.Marshal(changed(response, base))
	if err != nil { // all responses are ours and can be encoded
		panic(err)
	}
	return text
}
