package grpcapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
)

// While the server works on something of one tenant, its other requests wait, whichever
// way they come; those of other tenants don't.
func TestRequests_OfATenantAreWorkedOnInTurn(t *testing.T) {
	s := startServer(t)
	secrets, clients := map[string]string{}, map[string]*grpc.ClientConn{}
	transport := &http.Transport{TLSClientConfig: s.trust()}
	t.Cleanup(transport.CloseIdleConnections)
	rest := func(tenant, method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.address+"/functions/v1"+path, strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secrets[tenant])
		answer, err := transport.RoundTrip(r)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return fmt.Sprint(answer.StatusCode, " ", string(text), err)
	}
	sessions := map[string]string{}
	for _, tenant := range []string{"acme", "umbrella"} {
		secrets[tenant] = s.newKey(tenant, access.RoleDeployer)
		clients[tenant] = s.dial(secrets[tenant])
		session, err := s.host.Sessions().Create(t.Context(), access.Operator.In(tenant), run.SessionSpec{})
		if err == nil {
			err = s.host.Sessions().WriteFile(t.Context(), access.Operator.In(tenant), session.ID, "data", []byte("of "+tenant))
		}
		if err != nil {
			t.Fatal(err)
		}
		sessions[tenant] = session.ID
	}
	for what, c := range map[string]struct {
		ask  func(tenant string) string
		want string
	}{
		"a body":    {func(tenant string) string { return rest(tenant, "POST", "/functions", "no JSON") }, "400 "},
		"an answer": {func(tenant string) string { return rest(tenant, "GET", "/functions", "") }, "200 "},
		"a file of a session": {func(tenant string) string {
			return rest(tenant, "GET", "/sessions/"+sessions[tenant]+":file?path=data", "")
		}, "200 of "},
		"a message": {func(tenant string) string {
			_, err := invoke(t.Context(), clients[tenant], functionService+"Get", &functions.GetFunctionRequest{FunctionId: nothing})
			return status.Code(err).String()
		}, "NotFound"},
	} {
		t.Run(what, func(t *testing.T) {
			done := s.takeTurn("acme")
			answered := make(chan string, 1)
			go func() { answered <- c.ask("acme") }()
			for range 5 {
				if got := c.ask("umbrella"); !strings.HasPrefix(got, c.want) {
					t.Errorf("another tenant: got %s, want %s", got, c.want)
				}
			}
			select {
			case got := <-answered:
				t.Errorf("it did not wait: %s", got)
				answered <- got
			default:
			}
			done()
			if got := <-answered; !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	t.Run("a list is made in turn", func(t *testing.T) {
		done := s.takeTurn("acme")
		answered := make(chan string, 1)
		go func() { answered <- rest("acme", "GET", "/functions", "") }()
		for range 5 {
			rest("umbrella", "GET", "/functions", "")
		}
		_, err := s.host.Catalog().CreateFunction(t.Context(), access.Operator.In("acme"), catalog.FunctionSpec{Name: "made-meanwhile"})
		if err != nil {
			t.Error(err)
		}
		done()
		if got := <-answered; !strings.Contains(got, "made-meanwhile") {
			t.Errorf("got %s, want a function that there is when its turn begins", got)
		}
	})
}

// takeTurn has what a tenant asks for wait until it is done.
func (s *server) takeTurn(tenant string) (done func()) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(access.WithPrincipal(s.t.Context(), access.Operator.In(tenant)), "GET", "/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if done, err = s.desk.Turn(r); err != nil {
		s.t.Fatal(err)
	}
	return done
}
