package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/webtest"
)

// as sends a request with a secret; an empty one is none.
func (s *server) as(secret, method, path, body string) (int, document) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+api.BasePath+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	status, text := s.do(r)
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		s.t.Fatalf("%s %s: status %d: %v in %.500s", method, path, status, err, text)
	}
	return status, d
}

// key makes a key and returns its secret.
func (s *server) key(tenant string, role access.Role) string {
	return webtest.Key(s.t, s.host, tenant, role)
}

// guarded is startServer for one that asks for keys.
func guarded(t *testing.T) *server {
	return startServerWith(t, func(c *web.Config, h *host.Host) { c.Keys = h.Keys() })
}

// Each request is refused to who has no role for it, and to nobody else.
func TestAccess_EachRouteTakesItsRole(t *testing.T) {
	s := guarded(t)
	operator := s.key(access.AllTenants, access.RoleAdmin)
	keys := map[access.Role]string{"": ""}
	for _, role := range access.Roles {
		keys[role] = s.key("acme", role)
	}
	_, description := s.as(operator, "GET", "/openapi.json", "")
	count := 0
	for path, methods := range description.at("paths").(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			count++
			text := document(operation.(map[string]any)).text("description")
			needed := access.Role("")
			for _, role := range append(access.Roles, "operator") {
				if strings.Contains(text, "the role "+string(role)+",") {
					needed = role
				}
			}
			method, at := strings.ToUpper(method), strings.NewReplacer("{", "x", "}", "").Replace(path)
			body := ""
			if method == "POST" || method == "PATCH" {
				body = "{}"
			}
			for role, secret := range keys {
				status, d := s.as(secret, method, at, body)
				allowed := needed == "" || role.Includes(needed)
				switch {
				case allowed && (status == 401 || status == 403 || status >= 500),
					!allowed && role == "" && (status != 401 || d.at("code") != float64(api.CodeUnauthenticated)),
					!allowed && role != "" && (status != 403 || d.at("code") != float64(api.CodePermissionDenied)):
					t.Errorf("%s %s takes %q; with %q: %d %v", method, path, needed, role, status, d)
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d routes", count)
	}
}

func TestAccess_WhoamiSaysAsWhom(t *testing.T) {
	s := guarded(t)
	_, d := s.as("", "GET", "/whoami", "")
	if d.at("open") != true || d.at("tenant") != "*" || d.at("role") != "admin" {
		t.Errorf("without keys: %v", d)
	}
	s.key(access.AllTenants, access.RoleAdmin)
	secret := s.key("acme", access.RoleDeployer)
	if _, d := s.as(secret, "GET", "/whoami", ""); d.at("open") != false || d.at("tenant") != "acme" || d.at("role") != "deployer" {
		t.Errorf("with a key: %v", d)
	}
	if _, d := s.as("", "GET", "/whoami", ""); d.at("open") != false || d.at("tenant") != "" || d.at("role") != "" {
		t.Errorf("without: %v", d)
	}
}

// Keys are made, used and deleted over the API. The first of them closes the
// server, and the last one's end opens it again.
func TestAccess_KeysLife(t *testing.T) {
	s := guarded(t)
	status, d := s.as("", "POST", "/keys", `{"tenant": "acme", "role": "admin"}`)
	if status != http.StatusConflict {
		t.Fatalf("a first key that can't manage others: %d %v", status, d)
	}
	status, d = s.as("", "POST", "/keys", `{"description": "first"}`)
	root, id := d.text("secret"), d.text("key.id")
	if status != 200 || d.text("key.tenant") != "*" || d.text("key.role") != "admin" || d.text("key.description") != "first" || id == "" {
		t.Fatalf("got %d %v", status, d)
	}
	if status, _ := s.as("", "GET", "/functions", ""); status != 401 {
		t.Errorf("without a key: %d", status)
	}
	_, d = s.as(root, "POST", "/keys", `{"tenant": "acme", "role": "deployer"}`)
	secret, theirs := d.text("secret"), d.text("key.id")
	status, d = s.as(secret, "POST", "/functions", `{"name": "greeter"}`)
	if status != 200 || d.text("response.folderId") != "acme" || d.text("createdBy") != theirs {
		t.Errorf("got %d %v", status, d)
	}
	// Who acts for all names another tenant's things by the folder.
	for path, want := range map[string]int{"/functions/greeter": 404, "/functions/greeter?folderId=acme": 200} {
		if status, d := s.as(root, "GET", path, ""); status != want {
			t.Errorf("%s: %d %v", path, status, d)
		}
	}
	_, d = s.as(root, "GET", "/keys", "")
	if keys := d.at("keys").([]any); len(keys) != 2 {
		t.Errorf("got %v", d)
	}
	for _, id := range []string{theirs, id} {
		if status, d := s.as(root, "DELETE", "/keys/"+id, ""); status != 200 {
			t.Errorf("got %d %v", status, d)
		}
	}
	if status, _ := s.as("", "GET", "/functions", ""); status != 200 {
		t.Errorf("after the last key: %d", status)
	}
}

func TestAccess_BindingsMakeAFunctionPublic(t *testing.T) {
	s := guarded(t)
	admin := s.key(access.AllTenants, access.RoleAdmin)
	s.as(admin, "POST", "/functions", `{"name": "fun"}`)
	const public = `{"roleId": "functions.functionInvoker", "subject": {"id": "allUsers", "type": "system"}}`
	bound := func() int {
		status, d := s.as(admin, "GET", "/functions/fun:listAccessBindings", "")
		if status != 200 {
			t.Fatal(status, d)
		}
		return len(d.at("accessBindings").([]any))
	}
	for _, step := range []struct {
		verb, body   string
		status, want int
	}{
		{"setAccessBindings", `{"accessBindings": [` + public + `]}`, 200, 1},
		{"setAccessBindings", `{"accessBindings": []}`, 200, 0},
		{"updateAccessBindings", `{"accessBindingDeltas": [{"action": "ADD", "accessBinding": ` + public + `}]}`, 200, 1},
		{"updateAccessBindings", `{"accessBindingDeltas": []}`, 200, 1},
		{"updateAccessBindings", `{"accessBindingDeltas": [{"action": "DROP", "accessBinding": ` + public + `}]}`, 400, 1},
		{"updateAccessBindings", `{"accessBindingDeltas": [{"action": "REMOVE", "accessBinding": ` + public + `}]}`, 200, 0},
		{"setAccessBindings", `{"accessBindings": [` + strings.Replace(public, "functions.functionInvoker", "serverless.functions.invoker", 1) + `]}`, 200, 1},
		{"setAccessBindings", `{"accessBindings": [` + strings.Replace(public, "allUsers", "someone", 1) + `]}`, 400, 1},
		{"setAccessBindings", `{"accessBindings": [` + strings.Replace(public, "functions.functionInvoker", "editor", 1) + `]}`, 400, 1},
	} {
		status, d := s.as(admin, "POST", "/functions/fun:"+step.verb, step.body)
		if status != step.status || bound() != step.want {
			t.Errorf("%s %s: %d %v, %d bindings", step.verb, step.body, status, d, bound())
		}
	}
}
