package grpcapi

import (
	"context"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// tokenAudience is for whom the cloud's tools sign, whichever server they ask.
const tokenAudience = "https://iam.api.cloud.yandex.net/iam/v1/tokens"

func (s *Server) tokenMethods() map[string]method {
	return map[string]method{
		"Create":                  unary("Tokens", s.createToken),
		"CreateForServiceAccount": unary("OwnToken", s.createTokenFor),
	}
}

// createToken makes a token of what identifies the caller: an assertion that a key has
// signed, or a key's secret where the cloud has an OAuth token.
func (s *Server) createToken(ctx context.Context, in *iam.CreateIamTokenRequest) (*iam.CreateIamTokenResponse, error) {
	if p := access.PrincipalOf(ctx); !p.Anonymous() && p.KeyID == "" { // nobody needs a key
		return newToken(s.host.Tokens().Issue(p.Tenant, string(access.RoleOperator), "", time.Now())), nil
	}
	var p access.Principal
	var err error
	switch identity := in.Identity.(type) {
	case *iam.CreateIamTokenRequest_Jwt:
		// Some clients sign for the address that they were given.
		p, err = s.host.Keys().Assert(identity.Jwt, tokenAudience, "https://iam."+callOf(ctx).Host+"/iam/v1/tokens")
	case *iam.CreateIamTokenRequest_YandexPassportOauthToken:
		p, err = s.host.Keys().Authenticate(identity.YandexPassportOauthToken)
	default:
		return nil, fault.Invalidf("jwt", "is missing; give this or yandex_passport_oauth_token, with the secret of a key")
	}
	if err != nil {
		return nil, err
	}
	return s.tokenOf(p, p.KeyID)
}

// createTokenFor makes a token for the service account of an id: a key.
func (s *Server) createTokenFor(ctx context.Context, in *iam.CreateIamTokenForServiceAccountRequest) (*iam.CreateIamTokenResponse, error) {
	if in.ServiceAccountId == "" {
		return nil, fault.Invalidf("service_account_id", "is missing")
	}
	return s.tokenOf(access.PrincipalOf(ctx), in.ServiceAccountId)
}

func (s *Server) tokenOf(p access.Principal, id string) (*iam.CreateIamTokenResponse, error) {
	token, err := s.host.Keys().Issue(p, id)
	if err != nil {
		return nil, err
	}
	return newToken(token), nil
}

func newToken(t *access.Token) *iam.CreateIamTokenResponse {
	return &iam.CreateIamTokenResponse{
		IamToken: t.AccessToken, ExpiresAt: timestamppb.New(time.Now().Add(time.Duration(t.ExpiresIn) * time.Second)),
	}
}
