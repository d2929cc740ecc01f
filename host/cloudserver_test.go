package host

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/resourcemanager/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// cloudServer stands in for the API of Yandex Cloud: what tells the addresses of
// services, what gives tokens, and the list of clouds.
type cloudServer struct {
	endpoint.UnimplementedApiEndpointServiceServer
	address string
	busy    atomic.Int64 // how many calls fail
}

func startCloud(t *testing.T, certificate, key string) *cloudServer {
	t.Helper()
	server := &cloudServer{}
	server.address = serveGRPC(t, func(r grpc.ServiceRegistrar) {
		endpoint.RegisterApiEndpointServiceServer(r, server)
		iam.RegisterIamTokenServiceServer(r, tokens{})
		resourcemanager.RegisterCloudServiceServer(r, clouds{cloudServer: server})
	}, grpcTLS(t, certificate, key, tls.NoClientCert))
	return server
}

func (s *cloudServer) List(context.Context, *endpoint.ListApiEndpointsRequest) (*endpoint.ListApiEndpointsResponse, error) {
	return &endpoint.ListApiEndpointsResponse{Endpoints: []*endpoint.ApiEndpoint{
		{Id: "iam", Address: s.address}, {Id: "resource-manager", Address: s.address},
	}}, nil
}

type tokens struct {
	iam.UnimplementedIamTokenServiceServer
}

func (tokens) Create(_ context.Context, in *iam.CreateIamTokenRequest) (*iam.CreateIamTokenResponse, error) {
	return &iam.CreateIamTokenResponse{IamToken: "token of " + in.GetYandexPassportOauthToken()}, nil
}

type clouds struct {
	resourcemanager.UnimplementedCloudServiceServer
	*cloudServer
}

// List names a cloud after the token by which it is asked.
func (s clouds) List(ctx context.Context, in *resourcemanager.ListCloudsRequest) (*resourcemanager.ListCloudsResponse, error) {
	if s.busy.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "busy")
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	attempts := sent.Get("grpc-previous-rpc-attempts")
	return &resourcemanager.ListCloudsResponse{
		Clouds:        []*resourcemanager.Cloud{{Name: fmt.Sprint(sent.Get("authorization"))}},
		NextPageToken: fmt.Sprint(in.PageSize, attempts),
	}, nil
}

// Get fails.
func (s clouds) Get(_ context.Context, in *resourcemanager.GetCloudRequest) (*resourcemanager.Cloud, error) {
	s.busy.Store(int64(len(in.CloudId)))
	return nil, status.Errorf(codes.NotFound, "Cloud %s not found", in.CloudId)
}
