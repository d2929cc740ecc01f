package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
)

func TestOpenAPI_DescribesEveryRoute(t *testing.T) {
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name string }
			RequestBody *struct{}
		}
	}
	if err := json.Unmarshal(New(Config{}).describe(), &d); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range d.Paths {
		count += len(path)
	}
	if count != len(routes) {
		t.Errorf("%d operations are described, there are %d routes", count, len(routes))
	}
	for _, r := range routes {
		o, ok := d.Paths[r.path][strings.ToLower(r.method)]
		if !ok || o.OperationID != r.id || r.summary == "" || (o.RequestBody != nil) != (r.body != nil) {
			t.Errorf("%s %s is described as %+v", r.method, r.path, o)
		}
		if want := 1 + len(r.query) + strings.Count(r.path, "{"); len(o.Parameters) != want {
			t.Errorf("%s %s: %d parameters, want %d", r.method, r.path, len(o.Parameters), want)
		}
	}
}

func TestFind_EachRouteFindsItself(t *testing.T) {
	for i := range routes {
		path := strings.NewReplacer("{", "x-", "}", "").Replace(routes[i].path)
		r, values, err := find(routes[i].method, path)
		if err != nil || r != &routes[i] {
			t.Errorf("%s %s: %v", routes[i].method, path, err)
		}
		for name, value := range values {
			if value != "x-"+name {
				t.Errorf("%s: %s is %s", path, name, value)
			}
		}
	}
}

func TestDuration_IsSecondsInJSON(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"5s"`: 5 * time.Second, `"0.100s"`: 100 * time.Millisecond, `"3600s"`: time.Hour, `"1.000001s"`: time.Second + time.Microsecond,
		`"0.000000001s"`: 1, `"0s"`: 0, `"10s"`: 10 * time.Second, `"1000s"`: 1000 * time.Second,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: got %v, %v", text, time.Duration(d), err)
		}
		if back, err := json.Marshal(d); err != nil || string(back) != text {
			t.Errorf("%s became %s, %v", text, back, err)
		}
	}
	for _, text := range []string{`"5"`, `"5m"`, `5`, `"s"`, `"1e9s"`, `"1m5s"`, `"NaNs"`, `"infs"`, `"99999999999s"`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %v", text, time.Duration(d))
		}
	}
}

func TestInt64_IsAStringInJSON(t *testing.T) {
	for _, text := range []string{`"134217728"`, `134217728`} {
		var n Int64
		if err := json.Unmarshal([]byte(text), &n); err != nil || n != 134217728 {
			t.Errorf("%s: got %d, %v", text, n, err)
		}
		if back, _ := json.Marshal(n); string(back) != `"134217728"` {
			t.Errorf("became %s", back)
		}
	}
	for _, text := range []string{`"1.5"`, `1.5`, `"x"`, `""`, `{}`, `"9223372036854775808"`} {
		var n Int64
		if err := json.Unmarshal([]byte(text), &n); err == nil {
			t.Errorf("%s is taken for %d", text, n)
		}
	}
}

func TestRoutes_EachTakesARole(t *testing.T) {
	for _, r := range routes {
		role := r.does.Role()
		if (role == "") != (r.id == "whoami") || role != "" && role != access.RoleOperator && !slices.Contains(access.Roles, role) {
			t.Errorf("%s %s takes the role %q", r.method, r.path, role)
		}
		if r.method != http.MethodGet && role != access.RoleOperator && !role.Includes(access.RoleDeployer) {
			t.Errorf("%s %s lets an invoker change something", r.method, r.path)
		}
	}
}

// A constraint of a field that is no more would hold for nothing, and nobody would
// notice.
func TestConstraints_AreOfFieldsThatThereAre(t *testing.T) {
	schemas := object{}
	for _, r := range routes {
		if r.body != nil {
			schema(reflect.TypeOf(r.body()), schemas)
		}
		schema(reflect.TypeOf(r.answer), schemas)
	}
	for key := range constraints {
		name, field, isField := strings.Cut(key, ".")
		of, ok := schemas[name].(object)
		if !ok {
			t.Errorf("%s: there is no such type", key)
			continue
		}
		if _, ok := of["properties"].(object)[field]; isField && !ok {
			t.Errorf("%s: there is no such field", key)
		}
		required, _ := of["required"].([]string)
		for _, field := range required {
			if _, ok := of["properties"].(object)[field]; !ok {
				t.Errorf("%s requires %s, which there is not", key, field)
			}
		}
	}
}
