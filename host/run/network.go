package run

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vivarium/host/access"
	"vivarium/host/egress"
)

// keepAlive is how long an instance that idles keeps its connections.
const keepAlive = time.Minute

// nowhere is for versions that ask for no network.
var nowhere = egress.NewGuard()

// network returns what an instance of v may reach: what the version asks for, as
// far as the operator allows it to the server and to the tenant.
func (m *maker) network(v *live) *egress.Session {
	cfg := egress.SessionConfig{
		Guard: nowhere, Dialer: m.dialer, Debugger: m.debugger,
		Reserve: func() (func(), error) { return m.traffic.connect(v.Tenant, v.FunctionID) },
		Spend:   func(n int64) error { return m.traffic.spend(v.Tenant, v.FunctionID, n, time.Now()) },
	}
	if v.asked != nil {
		cfg.Guard = egress.NewGuard(v.asked).Bound(m.netCeiling, "this server does not allow it").
			BoundBy(func() *egress.Policy { return m.ceilings.Of(v.Tenant) }, whose(v.Tenant))
	}
	if m.refused != nil && v.Tenant != tryTenant {
		cfg.Refused = func(rule string) { m.refused(v.FunctionID, rule) }
	}
	if v.ServiceAccountID != "" {
		cfg.Metadata = func(path string, google bool) (string, bool) { return m.metadata(v, path, google) }
	}
	return egress.NewSession(cfg)
}

// whose returns the reason for what a tenant's ceiling does not allow.
func whose(tenant string) string {
	if tenant == tryTenant {
		return "the playground does not allow it"
	}
	return fmt.Sprintf("tenant %s may not reach it", tenant)
}

// Where the service account's token is, in the two flavours that the cloud has
// (contract §5).
const (
	googleToken = "/computeMetadata/v1/instance/service-accounts/default/token"
	amazonRoles = "/latest/meta-data/iam/security-credentials"
)

// metadata answers what an instance asks its metadata service.
func (m *maker) metadata(v *live, path string, google bool) (body string, ok bool) {
	now := time.Now()
	token := func() *access.Token { return m.tokens.Issue(v.Tenant, v.ServiceAccountID, v.FunctionID, now) }
	var answer any
	switch path = strings.TrimSuffix(path, "/"); {
	case path == googleToken && google && !v.NoGoogleMetadata:
		answer = token()
	case path == amazonRoles && !v.NoAmazonMetadata:
		return "default", true
	case path == amazonRoles+"/default" && !v.NoAmazonMetadata:
		t := token()
		answer = map[string]string{
			"Code": "Success", "Token": t.AccessToken,
			"Expiration": now.Add(time.Duration(t.ExpiresIn) * time.Second).UTC().Format(time.RFC3339),
		}
	default:
		return "", false
	}
	text, err := json.Marshal(answer)
	return string(text), err == nil
}

// endNetwork ends a call's use of the network, and returns what it was refused.
func endNetwork(g guest) []string {
	if s, ok := g.Net().(*egress.Session); ok {
		return s.EndCall()
	}
	return nil
}

// hangUp closes the connections of instances that were last used before the given
// time.
func (p *pool) hangUp(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.idle {
		if in.lastUsed.Before(before) {
			in.HangUp()
		}
	}
}
