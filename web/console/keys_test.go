package console_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"
)

// guarded starts a server that requires keys, and returns its address, its host
// and the secret of the first key.
func guarded(t *testing.T) (url string, h *host.Host, secret string) {
	t.Helper()
	h, err := host.New(host.Config{Engines: shared.engines, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	_, secret, err = h.Keys().Create(t.Context(), access.Operator,
		keys.Spec{Tenant: access.AllTenants, Role: access.RoleAdmin, Description: "<b>the first</b>"})
	if err != nil {
		t.Fatal(err)
	}
	management := api.New(api.Config{Host: h, Logger: quiet})
	server := httptest.NewServer(web.New(web.Config{Management: management, Console: console.Handler(), Keys: h.Keys(), Logger: quiet}, h))
	t.Cleanup(func() {
		management.EndStreams()
		server.Close()
	})
	return server.URL, h, secret
}

func TestKeys_AreAskedForMadeAndDeleted(t *testing.T) {
	url, h, secret := guarded(t)
	b := newTab(t, allowing("status of 401", "status of 404"))
	b.url = url
	b.open("#/functions")
	b.wait(`document.querySelector('dialog')?.innerText.includes('requires a key')`)
	b.fill("[name=api-key]", "viv_wrong")
	b.button("dialog", "Use this key")
	b.wait(`document.querySelector('dialog .error')?.innerText.includes('does not know this key')`)
	b.fill("[name=api-key]", secret)
	b.button("dialog", "Use this key")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.who').innerText.includes('all tenants')`)
	if kept := eval[bool](b, `JSON.stringify(localStorage).includes('viv_')`); kept {
		t.Error("the key outlives the tab")
	}

	b.button("header", "Keys")
	b.wait(`document.querySelector('tbody')?.innerText.includes('<b>the first</b>')`)
	b.button(".page-head", "New key")
	b.fill("dialog [name=role]", "invoker")
	b.fill("dialog [name=tenant]", "shop")
	b.button("dialog", "Create the key")
	b.wait(`document.querySelector('.secret')?.innerText.includes('viv_')`)
	made := eval[string](b, `document.querySelector('.secret').innerText.match(/viv_[\w-]+/)[0]`)
	if p, err := h.Keys().Authenticate(made); err != nil || p.Tenant != "shop" || p.Role != access.RoleInvoker {
		t.Errorf("the key that was shown is of %+v, %v", p, err)
	}
	b.button("dialog", "Copy the key")
	b.button("dialog", "I have it")
	b.wait(`!document.querySelector('dialog') && document.querySelector('tbody').innerText.includes('shop')`)
	p, err := h.Keys().Authenticate(made)
	if err != nil {
		t.Fatal(err)
	}
	b.button("tbody", "Delete key "+p.KeyID)
	b.button("dialog", "Delete for good")
	b.wait(`!document.querySelector('dialog') && !document.querySelector('tbody').innerText.includes('shop')`)
	if _, err := h.Keys().Authenticate(made); err == nil {
		t.Error("the key that was deleted is still good")
	}
}

// Whatever the console does, it does with the key: nothing is open without one.
func TestKeys_DeployCallAndReadLogs(t *testing.T) {
	url, _, secret := guarded(t)
	b := newTab(t, allowing("status of 401", "status of 404"))
	b.url = url
	b.open("#/functions")
	b.fill("[name=api-key]", secret)
	b.button("dialog", "Use this key")
	b.wait(`!document.querySelector('dialog')`)
	b.open("#/deploy")
	b.drop(".drop", folder(t, "locked", map[string]string{
		"main.py": "def handler(event, context):\n    print('was called')\n    return {'body': 'only with a key'}\n",
	}))
	b.wait(`document.querySelector('.drop').innerText.includes('1 file')`)
	b.fill("[name=timeout]", "60")
	b.button(".deploy-foot", "Deploy")
	b.wait(`location.hash.startsWith('#/functions/d4e')`)
	b.open("#/functions/locked/test")
	b.button(".test", "Call")
	b.wait(`document.querySelector('.test .answer')?.innerText.includes('only with a key')`)
	b.open("#/functions/locked/logs")
	b.wait(`document.querySelector('.logs .log').textContent.includes('was called')`)
	quoted, _ := json.Marshal(url + "/locked")
	if status := eval[int](b, `fetch(`+string(quoted)+`).then((r) => r.status)`); status != 401 {
		t.Errorf("without the key: %d, want 401", status)
	}
}
