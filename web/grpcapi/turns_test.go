package grpcapi_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
	"vivarium/web/webtest"
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
		"a message of a stream": {func(tenant string) string {
			answer, err := describe(s.reflect(t.Context(), secrets[tenant]), "no.such.thing")
			return fmt.Sprint(answer.GetErrorResponse().GetErrorCode(), " ", err)
		}, "5 <nil>"},
	} {
		t.Run(what, func(t *testing.T) {
			webtest.CheckTurns(t, s.desk, c.ask, c.want)
		})
	}
	t.Run("a list is made in turn", func(t *testing.T) {
		done := webtest.TakeTurn(t, s.desk, "acme")
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

// A turn lasts until the message is decoded.
func TestMessages_AreDecodedInTurn(t *testing.T) {
	s := startServer(t)
	acme := s.dial(s.newKey("acme", access.RoleDeployer))
	var mu sync.Mutex // guards inTurn
	var inTurn []bool
	observe := func(message any) {
		if _, ok := message.(*functions.GetFunctionRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			inTurn = append(inTurn, webtest.TurnTaken(t, s.desk, "acme"))
		}
	}
	decoding.Store(&observe)
	t.Cleanup(func() { decoding.Store(nil) })
	for range 3 {
		_, err := invoke(t.Context(), acme, functionService+"Get", &functions.GetFunctionRequest{FunctionId: nothing})
		if status.Code(err) != codes.NotFound {
			t.Errorf("got %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []bool{true, true, true}; !slices.Equal(inTurn, want) {
		t.Errorf("decoded in turn: got %v, want %v", inTurn, want)
	}
	if webtest.TurnTaken(t, s.desk, "acme") {
		t.Error("the turn goes on")
	}
}

// decoding, if set, sees each message before it is decoded.
var decoding atomic.Pointer[func(message any)]

// watchedCodec is the codec of all messages.
type watchedCodec struct{ encoding.CodecV2 }

func init() { encoding.RegisterCodecV2(watchedCodec{encoding.GetCodecV2("proto")}) }

// Unmarshal implements encoding.CodecV2.
func (c watchedCodec) Unmarshal(data mem.BufferSlice, message any) error {
	if observe := decoding.Load(); observe != nil {
		(*observe)(message)
	}
	return c.CodecV2.Unmarshal(data, message)
}
