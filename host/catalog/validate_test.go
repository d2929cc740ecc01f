package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/logs"
	pythonwasi "vivarium/python-wasi"
)

// x is a text of n letters.
func x(n int) string { return strings.Repeat("x", n) }

// wantField checks that a value is refused for a field, or taken when that is empty.
func wantField(t *testing.T, what any, err error, field string) {
	t.Helper()
	text := fmt.Sprintf("%.100v", what)
	invalid, ok := errors.AsType[*fault.InvalidError](err)
	switch {
	case field == "" && err != nil:
		t.Errorf("%s: got %v", text, err)
	case field != "" && (!ok || invalid.Field != field):
		t.Errorf("%s: got %v, want an error about %s", text, err, field)
	case ok && len(err.Error()) > 600: // the texts are the caller's, and may be of any length
		t.Errorf("%s: the error has %d bytes", text, len(err.Error()))
	}
}

func TestValidateName(t *testing.T) {
	for name, good := range map[string]bool{
		"fun": true, "f-1": true, "f0o-bar-9": true, "a" + x(62): true, "d4e00000000000000000": true,
		"": false, "f": false, "fu": false, "a" + x(63): false, x(1 << 20): false, "Fun": false, "fuN": false, "1fun": false, "-fun": false,
		"fun-": false, "f_n": false, "f.n": false, "f/n": false, "fün": false, "fun ": false, "fun\n": false, "\nfun": false, "f\x00n": false,
		"functions": false, "console": false, "healthz": false, "readyz": false, "metrics": false, "play": false, "operations": false, "mcp": false,
		"function": true, "players": true,
	} {
		field := "name"
		if good {
			field = ""
		}
		wantField(t, name, ValidateName(name), field)
	}
}

func TestValidateTenant(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "0": true, "b1g_x-y": true, x(50): true, access.DefaultTenant: true,
		"": false, x(51): false, "-a": false, "_a": false, "A": false, "a/b": false, "a.b": false, "*": false, "a\n": false, "é": false,
	} {
		field := "folder_id"
		if good {
			field = ""
		}
		wantField(t, name, ValidateTenant("folder_id", name), field)
	}
}

func TestValidateTag(t *testing.T) {
	for tag, good := range map[string]bool{
		"a": true, "prod": true, "v1_2-x": true, x(63): true, "latest": true,
		"": false, x(64): false, "1a": false, "-a": false, "_a": false, "Prod": false, "a.b": false, "a\n": false, "a b": false, "é": false, "$x": false,
	} {
		field := "tag"
		if good {
			field = ""
		}
		wantField(t, tag, ValidateTag(tag), field)
	}
	wantError[*fault.ConflictError](t, ValidateTag(LatestTag), "set by the service")
}

func TestFunctionSpec_Limits(t *testing.T) {
	many := map[string]string{}
	for n := range maxLabels {
		many[fmt.Sprint("l", n)] = ""
	}
	more := maps.Clone(many)
	more["one-more"] = ""
	for _, c := range []struct {
		spec  FunctionSpec
		field string // empty: it is good
	}{
		{FunctionSpec{}, ""}, {FunctionSpec{Name: "fun", Tenant: "acme"}, ""}, {FunctionSpec{Name: "no"}, "name"},
		{FunctionSpec{Tenant: "A"}, "folder_id"},
		{FunctionSpec{Description: strings.Repeat("é", 600)}, ""}, {FunctionSpec{Description: strings.Repeat("é", 601)}, "description"},
		{FunctionSpec{Description: "\xff"}, "description"}, {FunctionSpec{Description: "line\nbreaks\x00"}, ""},
		{FunctionSpec{Labels: many}, ""}, {FunctionSpec{Labels: more}, "labels"},
		{FunctionSpec{Labels: map[string]string{x(63): x(63)}}, ""}, {FunctionSpec{Labels: map[string]string{x(64): ""}}, "labels"},
		{FunctionSpec{Labels: map[string]string{"x": x(64)}}, "labels"}, {FunctionSpec{Labels: map[string]string{"": "x"}}, "labels"},
		{FunctionSpec{Labels: map[string]string{`a-_./\@0`: `-_./\@0a`}}, ""}, {FunctionSpec{Labels: map[string]string{"0": ""}}, "labels"},
		{FunctionSpec{Labels: map[string]string{"a": "A"}}, "labels"}, {FunctionSpec{Labels: map[string]string{"a": "a\n"}}, "labels"},
		{FunctionSpec{Labels: map[string]string{"a": "\xff"}}, "labels"},
	} {
		wantField(t, c.spec, c.spec.Validate(), c.field)
	}
	empty, bad := "", "Bad"
	for _, c := range []struct {
		update FunctionUpdate
		field  string
	}{
		{FunctionUpdate{}, ""}, {FunctionUpdate{Name: &empty, Description: &empty, Labels: map[string]string{}}, ""},
		{FunctionUpdate{Name: &bad}, "name"}, {FunctionUpdate{Labels: map[string]string{"Bad": ""}}, "labels"},
	} {
		wantField(t, c.update, c.update.Validate(), c.field)
	}
}

func TestVersionSpec_Limits(t *testing.T) {
	for _, c := range []struct {
		field  string // empty: it is good
		change func(*VersionSpec)
	}{
		{"", func(*VersionSpec) {}},
		{"entrypoint", func(s *VersionSpec) { s.Entrypoint = "" }},
		{"", func(s *VersionSpec) { s.Entrypoint = x(256) }},
		{"entrypoint", func(s *VersionSpec) { s.Entrypoint = x(257) }},
		{"entrypoint", func(s *VersionSpec) { s.Entrypoint = "main.\xff" }},
		{"", func(s *VersionSpec) { s.MemoryMB = 128 }},
		{"", func(s *VersionSpec) { s.MemoryMB = 4096 }},
		{"memory", func(s *VersionSpec) { s.MemoryMB = 4096 + 128 }},
		{"memory", func(s *VersionSpec) { s.MemoryMB = 129 }},
		{"memory", func(s *VersionSpec) { s.MemoryMB = 64 }},
		{"memory", func(s *VersionSpec) { s.MemoryMB = -128 }},
		{"", func(s *VersionSpec) { s.Timeout = time.Hour }},
		{"", func(s *VersionSpec) { s.Timeout = time.Nanosecond }},
		{"execution_timeout", func(s *VersionSpec) { s.Timeout = time.Hour + 1 }},
		{"execution_timeout", func(s *VersionSpec) { s.Timeout = -1 }},
		{"", func(s *VersionSpec) { s.MaxInstances = 1 }},
		{"max_instances", func(s *VersionSpec) { s.MaxInstances = -1 }},
		{"", func(s *VersionSpec) { s.MinInstances, s.MaxInstances = 10_000, 10_000 }},
		{"max_instances", func(s *VersionSpec) { s.MaxInstances = 10_001 }},
		{"max_instances", func(s *VersionSpec) { s.MinInstances, s.MaxInstances = math.MaxInt, math.MaxInt }},
		{"", func(s *VersionSpec) { s.MinInstances, s.MaxInstances = 5, 5 }},
		{"min_instances", func(s *VersionSpec) { s.MinInstances, s.MaxInstances = 6, 5 }},
		{"min_instances", func(s *VersionSpec) { s.MinInstances = DefaultMaxInstances + 1 }},
		{"min_instances", func(s *VersionSpec) { s.MinInstances = -1 }},
		{"", func(s *VersionSpec) { s.MinLogLevel = logs.LevelWarn }},
		{"min_log_level", func(s *VersionSpec) { s.MinLogLevel = logs.LevelUnspecified }},
		{"min_log_level", func(s *VersionSpec) { s.MinLogLevel = logs.Level(x(1 << 20)) }},
		{"runtime", func(s *VersionSpec) { s.Runtime = "python27" }},
		{"", func(s *VersionSpec) { s.AllowNet = "example.org,10.0.0.5:5432" }},
		{"allow_net", func(s *VersionSpec) { s.AllowNet = "a b" }},
		{"allow_net", func(s *VersionSpec) { s.AllowNet = strings.Repeat("example.org,", 400) }},
		{"", func(s *VersionSpec) { s.ServiceAccountID = x(64) }},
		{"service_account_id", func(s *VersionSpec) { s.ServiceAccountID = x(65) }},
		{"service_account_id", func(s *VersionSpec) { s.ServiceAccountID = "\xff" }},
		{"", func(s *VersionSpec) { s.Async = &AsyncConfig{Retries: 100, Success: x(114), Failure: x(114)} }},
		{"async_invocation_config.retries_count", func(s *VersionSpec) { s.Async = &AsyncConfig{Retries: 101} }},
		{"async_invocation_config.retries_count", func(s *VersionSpec) { s.Async = &AsyncConfig{Retries: -1} }},
		{"async_invocation_config.success_target", func(s *VersionSpec) { s.Async = &AsyncConfig{Success: x(115)} }},
		{"async_invocation_config.failure_target", func(s *VersionSpec) { s.Async = &AsyncConfig{Failure: x(115)} }},
		{"async_invocation_config.failure_target", func(s *VersionSpec) { s.Async = &AsyncConfig{Failure: "\xff"} }},
		{"", func(s *VersionSpec) { s.Description = x(600) }},
		{"description", func(s *VersionSpec) { s.Description = x(601) }},
	} {
		s := VersionSpec{Entrypoint: "main.handler"}.WithDefaults()
		c.change(&s)
		wantField(t, s, s.Validate(), c.field)
	}
}

func TestVersionSpec_Environment(t *testing.T) {
	for _, c := range []struct {
		env   map[string]string
		field string
	}{
		{nil, ""}, {map[string]string{"A_1": "x", "a": ""}, ""}, {map[string]string{"A": "line\nbreak\té"}, ""},
		{map[string]string{"": "x"}, `environment variable ""`}, {map[string]string{"1A": "x"}, `environment variable "1A"`},
		{map[string]string{"_A": "x"}, `environment variable "_A"`}, {map[string]string{"A-B": "x"}, `environment variable "A-B"`},
		{map[string]string{"A=B": "x"}, `environment variable "A=B"`}, {map[string]string{"A\n": "x"}, `environment variable "A\n"`},
		{map[string]string{"É": "x"}, `environment variable "É"`},
		{map[string]string{"A": "\x00"}, `environment variable "A"`}, {map[string]string{"A": "\xff"}, `environment variable "A"`},
		{map[string]string{"A": x(4095)}, ""}, {map[string]string{"A": x(4096)}, "environment"}, {map[string]string{"A": x(4097)}, `environment variable "A"`},
		{map[string]string{"A": x(2047), "B": x(2047)}, ""}, {map[string]string{"A": x(2047), "B": x(2048)}, "environment"},
		{map[string]string{x(4097): ""}, "environment"},
	} {
		s := VersionSpec{Entrypoint: "a.b", Environment: c.env}.WithDefaults()
		wantField(t, c.env, s.Validate(), c.field)
	}
	// What the platform sets is reserved, all of it.
	reserved := []string{"AWS_LAMBDA_RUNTIME_API", "LD_LIBRARY_PATH"}
	for name := range (VersionSpec{}).PlatformEnvironment() {
		reserved = append(reserved, name)
	}
	for _, name := range reserved {
		s := VersionSpec{Entrypoint: "a.b", Environment: map[string]string{name: "mine"}}.WithDefaults()
		wantError[*fault.InvalidError](t, s.Validate(), "reserved")
	}
}

func TestVersionSpec_DefaultsAreGood(t *testing.T) {
	s := VersionSpec{Entrypoint: "main.handler"}.WithDefaults()
	if err := s.Validate(); err != nil || s.MemoryMB != 128 || s.Timeout != 3*time.Second || s.MaxInstances != 10 ||
		s.Runtime != pythonwasi.Lean.Name() || s.MinInstances != 0 || s.Async != nil || s.AllowNet != "" {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, name := range pythonwasi.Runtimes() {
		s := VersionSpec{Entrypoint: "a.b", Runtime: name, MemoryMB: 256, Timeout: time.Minute, MaxInstances: 3}
		if got := s.WithDefaults(); fmt.Sprint(got) != fmt.Sprint(s) || got.Validate() != nil {
			t.Errorf("what was said is %+v, and then %+v, %v", s, got, got.Validate())
		}
	}
}

// The scientific guest is in some programs and not in others.
func TestVersionSpec_OptionalRuntime(t *testing.T) {
	err := VersionSpec{Entrypoint: "a.b", Runtime: pythonwasi.Science.Name()}.WithDefaults().Validate()
	if slices.Contains(pythonwasi.Runtimes(), pythonwasi.Science.Name()) {
		if err != nil {
			t.Errorf("a runtime of this program: %v", err)
		}
		return
	}
	wantError[*fault.InvalidError](t, err, "go tool task guest:science")
}

func TestScalingPolicy_Limits(t *testing.T) {
	for _, c := range []struct {
		policy ScalingPolicy
		field  string
	}{
		{ScalingPolicy{Tag: LatestTag}, ""}, {ScalingPolicy{Tag: x(63)}, ""}, {ScalingPolicy{Tag: x(64)}, "tag"}, {ScalingPolicy{}, "tag"},
		{ScalingPolicy{Tag: "$other"}, "tag"}, {ScalingPolicy{Tag: "Prod"}, "tag"},
		{ScalingPolicy{Tag: "a", ZoneInstancesLimit: 10_000, ProvisionedInstances: 10_000}, ""},
		{ScalingPolicy{Tag: "a", ZoneInstancesLimit: 10_001}, "zone_instances_limit"},
		{ScalingPolicy{Tag: "a", ZoneInstancesLimit: -1}, "zone_instances_limit"},
		{ScalingPolicy{Tag: "a", ZoneRequestsLimit: -1}, "zone_requests_limit"}, {ScalingPolicy{Tag: "a", ZoneRequestsLimit: 1 << 40}, ""},
		{ScalingPolicy{Tag: "a", ProvisionedInstances: 10_001}, "provisioned_instances_count"},
		{ScalingPolicy{Tag: "a", ProvisionedInstances: -1}, "provisioned_instances_count"},
		{ScalingPolicy{Tag: "a", ProvisionedInstances: 3, ZoneInstancesLimit: 2}, "provisioned_instances_count"},
		{ScalingPolicy{Tag: "a", ProvisionedInstances: 3}, ""},
	} {
		wantField(t, c.policy, c.policy.Validate(), c.field)
	}
}

func TestParseCeiling_IsBounded(t *testing.T) {
	for text, field := range map[string]string{
		"*": "", "": "", "example.org": "", "a b": "allow_net", strings.Repeat("example.org,", 342): "allow_net", "10.0.0.0/33": "allow_net",
	} {
		_, err := ParseCeiling(text)
		wantField(t, text, err, field)
	}
}

func TestValidateTexts_NamesTheFirstField(t *testing.T) {
	for n := range 20 { // in the order of the fields, whatever that of the map
		err := ValidateTexts(map[string]string{"time_zone": x(65), "cron_expression": x(257), "function": x(114)})
		if wantField(t, n, err, "cron_expression"); !strings.Contains(err.Error(), "has 257 bytes, at most 256") {
			t.Fatal(err)
		}
	}
	wantField(t, "the limits", ValidateTexts(map[string]string{"time_zone": x(64), "cron_expression": x(256), "function": x(114)}), "")
	wantField(t, "an unknown field", ValidateTexts(map[string]string{"other": "x"}), "other")
}

func TestNewID_LooksAsTheCloudsDo(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, prefix := range []string{FunctionPrefix, VersionPrefix, LogGroupPrefix} {
			id := NewID(prefix)
			if len(id) != IDLength || !strings.HasPrefix(id, prefix) || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || seen[id] {
				t.Fatalf("got %q, seen: %v", id, seen[id])
			}
			seen[id] = true
		}
	}
}

func TestReference_IsTheTenantsBesideTheDefaults(t *testing.T) {
	for _, c := range []struct{ tenant, name, want string }{
		{access.DefaultTenant, "fun", "fun"}, {"", "fun", "fun"}, {"acme", "fun", "acme/fun"}, {"acme", "", ""}, {"", "", ""},
	} {
		if got := Reference(c.tenant, c.name); got != c.want {
			t.Errorf("%s of %q is %q, want %q", c.name, c.tenant, got, c.want)
		}
	}
	v := Version{FunctionID: "d4e1", Tenant: "acme", FunctionName: "fun", Transient: true}
	if v.Reference() != "acme/fun" || v.LogOwner() != (logs.Owner{Tenant: "acme", Function: "d4e1", Transient: true}) {
		t.Errorf("got %s, %+v", v.Reference(), v.LogOwner())
	}
	if v.FunctionName = ""; v.Reference() != "d4e1" {
		t.Errorf("without a name it is %s", v.Reference())
	}
}
