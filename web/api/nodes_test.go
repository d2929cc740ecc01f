package api_test

import (
	"net/http"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/web"
)

// A server that is in no cluster has no nodes, and says so to operators alone.
func TestNodes_WithoutACluster(t *testing.T) {
	s := startServerWith(t, func(c *web.Config, h *host.Host) { c.Keys = h.Keys() })
	operator, admin := s.key(access.AllTenants, access.RoleAdmin), s.key("acme", access.RoleAdmin)
	if status, d := s.as(operator, http.MethodGet, "/nodes", ""); status != 200 || len(d.at("nodes").([]any)) != 0 {
		t.Errorf("list: %d %v", status, d)
	}
	for body, want := range map[string]int{`{}`: 400, `{"address":""}`: 400, `{"address":"a:1"}`: 404, `{"node":"a:1"}`: 400} {
		if status, d := s.as(operator, http.MethodPost, "/nodes:drain", body); status != want {
			t.Errorf("drain of %s: %d %v", body, status, d)
		}
	}
	for _, path := range []string{"/nodes:drain", "/nodes:undrain"} {
		if status, d := s.as(admin, http.MethodPost, path, `{"address":"a:1"}`); status != 403 {
			t.Errorf("%s by a tenant's admin: %d %v", path, status, d)
		}
	}
	if status, d := s.as(admin, http.MethodGet, "/nodes", ""); status != 403 {
		t.Errorf("list by a tenant's admin: %d %v", status, d)
	}
}
