package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/keys"
	"vivarium/web"
	"vivarium/web/api"
)

// dial connects to the server from an address of this machine's own.
func (s *server) dial(from string) net.Conn {
	s.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	conn, err := dialer.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// TestUploads_SlowOnesHoldUpNobodyElse starts many uploads that hardly come,
// more than there are places, and deploys from another address.
func TestUploads_SlowOnesHoldUpNobodyElse(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "uploaded"}`)
	for range 50 {
		_, _ = fmt.Fprintf(s.dial("127.0.0.7"), "POST %s/versions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"Content-Length: 50000000\r\n\r\n{", api.BasePath)
	}
	for n := range 3 {
		s.deploy("uploaded", answering(t, fmt.Sprint("version ", n)), "")
	}
	if status, text := s.raw("GET", "/uploaded", ""); status != 200 || text != "version 2" {
		t.Errorf("got %d %s", status, text)
	}
}

// TestLogs_FollowersHoldUpNobodyElse opens as many followers of logs as there
// may be, of which none reads. One more is refused, and the rest goes on.
func TestLogs_FollowersHoldUpNobodyElse(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "followed"}`)
	s.deploy("followed", code(t, "def handler(event, context):\n    print('x' * 60000)\n    return {'body': 'ok'}\n"), "")
	s.must("PATCH", "/quotas", `{"folderId": "default", "limits": {"logStreams": 40}}`)
	ask := func() (*http.Response, error) {
		conn := s.dial("127.0.0.8")
		_, _ = fmt.Fprintf(conn, "GET %s/functions/followed:logs?follow=true HTTP/1.1\r\nHost: x\r\n\r\n", api.BasePath)
		return http.ReadResponse(bufio.NewReader(conn), nil)
	}
	for n := range 41 {
		answer, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 200, false: 429}[n < 40]; answer.StatusCode != want {
			text, _ := io.ReadAll(answer.Body)
			t.Fatalf("follower %d: got %d %s", n, answer.StatusCode, text)
		}
	}
	for range 20 {
		if status, text := s.raw("GET", "/followed", ""); status != 200 || text != "ok" {
			t.Fatalf("got %d %s", status, text)
		}
	}
	if status, _ := s.raw("GET", api.BasePath+"/functions/followed:logs", ""); status != 200 {
		t.Errorf("who reads once: got %d", status)
	}
}

// TestLogs_EndWithTheirKey deletes the key of somebody who follows a log.
func TestLogs_EndWithTheirKey(t *testing.T) {
	s := startServerWith(t, func(c *web.Config, h *host.Host) { c.Keys = h.Keys() })
	if _, err := s.host.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "followed"}); err != nil {
		t.Fatal(err)
	}
	secret := ""
	var key keys.Key
	for range 2 { // the first must stay
		var err error
		spec := keys.Spec{Tenant: access.AllTenants, Role: access.RoleAdmin}
		key, secret, err = s.host.Keys().Create(t.Context(), access.Operator, spec)
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+api.BasePath+"/functions/followed:logs?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Api-Key "+secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", answer, err)
	}
	defer answer.Body.Close()
	if err := s.host.Keys().Delete(t.Context(), access.Operator, key.ID); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	if _, err := io.ReadAll(answer.Body); err != nil {
		t.Error(err)
	}
	if took := time.Since(deleted); took > 10*time.Second { // heartbeats come later
		t.Errorf("the log ended %v after its key", took)
	}
}
