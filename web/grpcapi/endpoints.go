package grpcapi

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"

	"vivarium/host/fault"
	"vivarium/web/api"
)

// endpoints are the ids by which clients look for the services that are here.
var endpoints = []string{
	"endpoint", "iam", "log-reading", "logging", "operation", "resource-manager", "serverless-functions", "serverless-triggers",
}

func (s *Server) endpointMethods() map[string]method {
	return map[string]method{
		"List": unary("Endpoints", func(ctx context.Context, _ *endpoint.ListApiEndpointsRequest) (*endpoint.ListApiEndpointsResponse, error) {
			answer := &endpoint.ListApiEndpointsResponse{}
			for _, id := range endpoints {
				answer.Endpoints = append(answer.Endpoints, &endpoint.ApiEndpoint{Id: id, Address: address(callOf(ctx).Request)})
			}
			return answer, nil
		}),
		"Get": unary("Endpoints", func(ctx context.Context, in *endpoint.GetApiEndpointRequest) (*endpoint.ApiEndpoint, error) {
			for _, id := range endpoints {
				if id == in.ApiEndpointId {
					return &endpoint.ApiEndpoint{Id: id, Address: address(callOf(ctx).Request)}, nil
				}
			}
			return nil, &fault.NotFoundError{Thing: "endpoint", Name: in.ApiEndpointId}
		}),
	}
}

// address returns this server's address as the caller of a request knows it, whatever
// name that is: HOST:PORT.
func address(r *http.Request) string {
	if _, _, err := net.SplitHostPort(r.Host); err == nil {
		return r.Host
	}
	port := "80"
	if strings.HasPrefix(api.BaseURL(r), "https:") {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(r.Host, "[]"), port)
}
