package console_test

import (
	"strings"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/keys"
	"vivarium/host/quota"
)

// signedIn opens a page of a guarded server with a key.
func signedIn(t *testing.T, url, secret, fragment string) *tab {
	t.Helper()
	b := newTab(t, allowing("status of 400"))
	b.url = url
	b.onNewDocument(`sessionStorage.setItem('vivarium.key', '` + secret + `')`)
	b.open(fragment)
	return b
}

// tenantOf returns what a tenant may have and has.
func tenantOf(t *testing.T, h *host.Host, name string) host.TenantQuotas {
	t.Helper()
	of, err := h.Tenants().Quotas(t.Context(), access.Operator, name)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

func TestTenants_AnAdminOfAllSetsQuotasAndTheNetwork(t *testing.T) {
	url, h, secret := guarded(t)
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Tenant: "shop", Name: "cart"}); err != nil {
		t.Fatal(err)
	}
	b := signedIn(t, url, secret, "#/functions")
	b.button("header nav", "Tenants")
	b.wait(`document.querySelector('tbody')?.innerText.includes('shop')`)
	if got := b.text("tbody"); !strings.Contains(got, "whatever the server allows") {
		t.Errorf("the list is %s", got)
	}
	b.button("tbody", "shop")
	b.wait(`document.querySelector('h1').innerText === 'shop' && document.querySelector('tbody')?.innerText.includes('Functions')`)

	b.button(".facts", "Change")
	b.button("dialog", "Only")
	b.fill("dialog textarea", "http://example.org")
	b.button("dialog", "Save")
	b.wait(`document.querySelector('dialog .notice.bad')?.innerText.includes('must be hosts')`)
	b.fill("dialog textarea", "*.example.org:443,\n10.0.0.0/8")
	b.button("dialog", "Save")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.facts').innerText.includes('*.example.org:443')`)
	if got := tenantOf(t, h, "shop").Ceiling.String(); !strings.Contains(got, "*.example.org:443") || !strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("the ceiling is %q", got)
	}
	for choice, want := range map[string]string{"Nothing": "", "No ceiling": "*"} {
		b.button(".facts", "Change")
		b.button("dialog", choice)
		b.button("dialog", "Save")
		b.wait(`!document.querySelector('dialog')`)
		if got := tenantOf(t, h, "shop").Ceiling.String(); got != want {
			t.Errorf("%s: the ceiling is %q", choice, got)
		}
	}

	for _, c := range []struct {
		label, choice, text string
		of                  quota.Quota
		want                int64
	}{
		{"Functions", "At most", "7", quota.Functions, 7},
		{"Memory", "At most", "1.5 GB", quota.Memory, 3 << 29},
		{"Instances", "No limit", "", quota.Instances, -1},
		{"Instances", "Default", "", quota.Instances, 1000},
	} {
		b.button("tbody", "Change the limit of "+c.label)
		b.button("dialog", c.choice)
		if c.text != "" {
			b.fill("dialog [name=limit]", "much")
			b.button("dialog", "Save")
			b.wait(`document.querySelector('dialog .notice.bad')?.innerText.includes('number')`)
			b.fill("dialog [name=limit]", c.text)
		}
		b.button("dialog", "Save")
		b.wait(`!document.querySelector('dialog')`)
		if got := tenantOf(t, h, "shop").Limits[c.of]; max(got, -1) != c.want {
			t.Errorf("%s, %s %s: the limit is %d", c.label, c.choice, c.text, got)
		}
	}
	b.wait(`document.querySelector('tbody').innerText.includes('1.5 GB')`)

	// Who has nothing yet is not in the list, but can be named.
	b.open("#/tenants")
	b.fill("[name=tenant]", "newcomer")
	b.button(".page-head", "Open")
	b.wait(`location.hash === '#/tenants/newcomer' && document.querySelector('h1').innerText === 'newcomer' && document.querySelector('tbody')`)
}

func TestTenants_OthersSeeTheirOwnAndChangeNothing(t *testing.T) {
	url, h, _ := guarded(t)
	made := map[access.Role]string{}
	for _, role := range []access.Role{access.RoleAdmin, access.RoleDeployer} {
		_, secret, err := h.Keys().Create(t.Context(), access.Operator, keys.Spec{Tenant: "shop", Role: role})
		if err != nil {
			t.Fatal(err)
		}
		made[role] = secret
	}
	if err := h.Tenants().SetCeiling(t.Context(), access.Operator, "shop", "example.org"); err != nil {
		t.Fatal(err)
	}
	b := signedIn(t, url, made[access.RoleAdmin], "#/functions")
	b.button("header nav", "Tenant")
	b.wait(`document.querySelector('h1').innerText === 'shop' && document.querySelector('.facts')?.innerText.includes('example.org') && document.querySelector('tbody')`)
	if n := eval[int](b, `[...document.querySelectorAll('main button')].filter((e) => (e.ariaLabel ?? e.textContent).startsWith('Change')).length`); n != 0 {
		t.Errorf("there are %d buttons to change something", n)
	}
	b = signedIn(t, url, made[access.RoleDeployer], "#/functions")
	b.wait(`document.querySelector('.who')?.innerText.includes('deployer')`)
	if got := b.text("header nav"); strings.Contains(got, "Tenant") {
		t.Errorf("a deployer is offered %s", got)
	}
}
