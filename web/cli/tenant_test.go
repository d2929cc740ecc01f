package cli

import (
	"regexp"
	"strings"
	"testing"

	"vivarium/host/quota"
)

// squeezed returns a table with one space between its columns.
func squeezed(table string) string { return regexp.MustCompile(" +").ReplaceAllString(table, " ") }

func TestTenantQuota_IsShownAndSet(t *testing.T) {
	living(t)
	out := squeezed(must(t, "tenant", "quota", "team-a", "--code-bytes", "5", "--log-streams=-1"))
	for _, want := range []string{"QUOTA USE LIMIT", "codeBytes 0 5 ", "logStreams 0 none"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s, want something with %q", out, want)
		}
	}
	// What is not named stays, and each flag belongs to a quota.
	all := []string{"tenant", "quota", "team-a", "--json"}
	for q := range quota.Count {
		if q != quota.CodeBytes && q != quota.LogStreams {
			all = append(all, "--"+q.Flag(), "7")
		}
	}
	out = must(t, all...)
	if got := strings.Count(out, `"limit": "7"`); got != int(quota.Count)-2 || !strings.Contains(out, `"limit": "5"`) || !strings.Contains(out, `"limit": "-1"`) {
		t.Errorf("got %s", out)
	}
	out = must(t, "tenant", "quota", "team-a", "--code-bytes", "0", "--json")
	if !strings.Contains(out, `"limit": "10737418240"`) {
		t.Errorf("the default: got %s", out)
	}
	for rules, want := range map[string]string{"": "nothing", "*": "whatever the server allows", "*.example.com:443": "*.example.com:443"} {
		if out := must(t, "tenant", "quota", "team-a", "--allow-net="+rules); !strings.Contains(out, "\nnetwork: "+want+"\n") {
			t.Errorf("%q: got %s", rules, out)
		}
	}
}

func TestTenantList_HasWhoIsSpecial(t *testing.T) {
	living(t)
	must(t, "tenant", "quota", "bounded", "--allow-net=*.example.com:443")
	must(t, "tenant", "quota", "limited", "--memory", "1000")
	out := squeezed(must(t, "tenant", "list"))
	for _, want := range []string{
		"TENANT FUNCTIONS INSTANCES MEMORY CONNECTIONS EXCEEDED NETWORK\n",
		"bounded 0 0 0 0 0 *.example.com:443\n", "limited 0 0 0 0 0 whatever the server allows\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s, want something with %q", out, want)
		}
	}
	if out := must(t, "tenant", "list", "--json"); !strings.Contains(out, `"folderId": "limited"`) {
		t.Errorf("got %s", out)
	}
}

func TestServe_SetsWhatEachTenantMayHave(t *testing.T) {
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--quota", "functions=7;codeBytes=8")
	t.Setenv("VIVARIUM_SERVER", p.url)
	out := squeezed(must(t, "tenant", "quota", "any-tenant"))
	if !strings.Contains(out, "functions 0 7 ") || !strings.Contains(out, "codeBytes 0 8 ") {
		t.Errorf("got %s", out)
	}
}
