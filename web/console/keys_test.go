package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// keyring stands for a server that wants keys. The page is to get on with what
// it answers; that the answers are right is tested where they are made.
type keyring struct {
	mu   sync.Mutex
	keys map[string]map[string]string // by secret
}

// ServeHTTP lets those pass who have a key.
func (k *keyring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	own := k.keys[strings.TrimPrefix(r.Header.Get("Authorization"), "Api-Key ")]
	path := strings.TrimPrefix(r.URL.Path, "/functions/v1")
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch {
	case path == "/whoami":
		answer(map[string]any{"open": false, "tenant": own["tenant"], "role": own["role"]})
	case own == nil:
		w.WriteHeader(http.StatusUnauthorized)
		answer(map[string]any{"code": 16, "message": "give a key", "details": []any{}})
	case path == "/keys" && r.Method == http.MethodGet:
		list := []map[string]string{}
		for _, key := range k.keys {
			list = append(list, key)
		}
		answer(map[string]any{"keys": list})
	case path == "/keys":
		key := map[string]string{"id": fmt.Sprint("key", len(k.keys)), "createdAt": "2026-01-02T03:04:05Z"}
		_ = json.NewDecoder(r.Body).Decode(&key)
		k.keys["viv_"+key["id"]] = key
		answer(map[string]any{"key": key, "secret": "viv_" + key["id"]})
	case strings.HasPrefix(path, "/keys/") && r.Method == http.MethodDelete:
		delete(k.keys, "viv_"+strings.TrimPrefix(path, "/keys/"))
		answer(map[string]any{"done": true})
	default:
		answer(map[string]any{"functions": []any{}})
	}
}

func TestKeys_AreAskedForMadeAndDeleted(t *testing.T) {
	ring := &keyring{keys: map[string]map[string]string{
		"viv_key0": {"id": "key0", "tenant": "*", "role": "admin", "description": "<b>the first</b>", "createdAt": "2026-01-02T03:04:05Z"},
	}}
	mux := http.NewServeMux()
	mux.Handle("/functions/v1/", ring)
	mux.Handle("/", shared.handler)
	server := httptest.NewServer(mux)
	defer server.Close()
	b := newTab(t, allowing("status of 401"))
	b.url = server.URL
	b.open("#/functions")
	b.wait(`document.querySelector('dialog')?.innerText.includes('asks for a key')`)
	b.fill("[name=api-key]", "viv_wrong")
	b.button("dialog", "Use this key")
	b.wait(`document.querySelector('dialog .error')?.innerText.includes('does not know this key')`)
	b.fill("[name=api-key]", "viv_key0")
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
	b.button("dialog", "Make the key")
	b.wait(`document.querySelector('.secret')?.innerText.includes('viv_key1')`)
	b.button("dialog", "I have it")
	b.wait(`!document.querySelector('dialog') && document.querySelector('tbody').innerText.includes('shop')`)
	b.button("tbody", "Delete key key1")
	b.button("dialog", "Delete for good")
	b.wait(`!document.querySelector('dialog') && !document.querySelector('tbody').innerText.includes('shop')`)
}
