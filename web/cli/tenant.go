package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"vivarium/host/egress"
	"vivarium/host/quota"
	"vivarium/web/api"
)

// tenantCommands implements `vivarium tenant ...`.
type tenantCommands struct {
	List  tenantList  `cmd:"" help:"List the tenants that have something, or quotas or a ceiling of their own."`
	Quota tenantQuota `cmd:"" help:"Show what a tenant may have and has, or change its quotas."`
}

// tenantQuota implements `vivarium tenant quota`. Its flags are named after the
// quotas.
type tenantQuota struct {
	Tenant     string `arg:"" help:"The tenant; default owns whatever has no other tenant."`
	Functions  *int64 `placeholder:"N" help:"Functions."`
	Versions   *int64 `placeholder:"N" help:"Versions of all functions."`
	CodeBytes  *int64 `placeholder:"N" help:"Bytes of the versions' archives."`
	ImageBytes *int64 `placeholder:"N" help:"Bytes of images on disk; the least recently used go first."`
	Instances  *int64 `placeholder:"N" help:"Instances at once."`
	Sessions   *int64 `placeholder:"N" help:"Sessions at once, each of which is an instance, too."`
	Memory     *int64 `placeholder:"BYTES" help:"Bytes of memory for instances, images and unpacked code."`
	Calls      *int64 `placeholder:"N" help:"Calls in progress and waiting."`
	Timers     *int64 `placeholder:"N" help:"Timers."`
	Secrets    *int64 `placeholder:"N" help:"Versions of secrets."`

	ServiceAccounts *int64 `placeholder:"N" help:"Service accounts."`

	AsyncCalls *int64 `placeholder:"N" help:"Asynchronous calls that are queued."`
	AsyncBytes *int64 `placeholder:"N" help:"Bytes of queued calls' bodies."`
	LogBytes   *int64 `placeholder:"N" help:"Bytes of stored logs; the oldest go first."`
	CallBytes  *int64 `placeholder:"N" help:"Bytes of calls in the history; the oldest go first."`
	LogStreams *int64 `placeholder:"N" help:"Readers that follow a log, and streams over gRPC."`

	Connections  *int64  `placeholder:"N" help:"Connections from instances to elsewhere."`
	TrafficBytes *int64  `placeholder:"N" help:"Bytes sent to elsewhere and received within an hour."`
	AllowNet     *string `placeholder:"RULES" help:"What its functions may reach at most, whatever their versions ask for, written as for deploy. An empty text: nothing; *: whatever the server allows."`
	remote
}

// Help is shown by `vivarium tenant quota --help`.
func (*tenantQuota) Help() string {
	return `0 means the default, -1 no limit. What a tenant has beyond a limit stays.

Examples:
  vivarium tenant quota default
  vivarium tenant quota team-a --instances 20 --functions=-1
  vivarium tenant quota team-a --allow-net "*.example.com:443,10.0.0.5:5432"`
}

// changes returns the limits set by flags, by name.
func (c *tenantQuota) changes() map[string]api.Int64 {
	changes := map[string]api.Int64{}
	for quota, n := range map[quota.Quota]*int64{
		quota.Functions: c.Functions, quota.Versions: c.Versions,
		quota.CodeBytes: c.CodeBytes, quota.ImageBytes: c.ImageBytes,
		quota.Instances: c.Instances, quota.Sessions: c.Sessions, quota.Memory: c.Memory, quota.Calls: c.Calls, quota.Timers: c.Timers,
		quota.AsyncCalls: c.AsyncCalls, quota.AsyncBytes: c.AsyncBytes,
		quota.Secrets: c.Secrets, quota.ServiceAccounts: c.ServiceAccounts,
		quota.LogBytes: c.LogBytes, quota.LogStreams: c.LogStreams, quota.CallBytes: c.CallBytes,
		quota.Connections: c.Connections, quota.TrafficBytes: c.TrafficBytes,
	} {
		if n != nil {
			changes[quota.String()] = api.Int64(*n)
		}
	}
	return changes
}

// Run implements the command.
func (c *tenantQuota) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var of api.TenantQuotas
	if changes := c.changes(); len(changes) > 0 || c.AllowNet != nil {
		request := api.SetQuotasRequest{FolderID: c.Tenant, Limits: changes, AllowNet: c.AllowNet}
		if err := client.do(ctx, http.MethodPatch, "/quotas", request, &of); err != nil {
			return err
		}
	} else if err := client.get(ctx, "/quotas", url.Values{"folderId": {c.Tenant}}, &of); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, of)
	}
	rows := [][]string{}
	for _, q := range of.Quotas {
		limit := fmt.Sprint(int64(q.Limit))
		if q.Limit < 0 {
			limit = "none"
		}
		rows = append(rows, []string{q.Name, fmt.Sprint(int64(q.Use)), limit, fmt.Sprint(int64(q.Exceeded))})
	}
	if err := printTable(s.stdout, "QUOTA USE LIMIT EXCEEDED", rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.stdout, "network:", ceilingText(of.AllowNet))
	return err
}

// ceilingText describes what a tenant may reach.
func ceilingText(rules string) string {
	switch rules {
	case egress.Unbounded:
		return "whatever the server allows"
	case "":
		return "nothing"
	}
	return rules
}

// tenantList implements `vivarium tenant list`.
type tenantList struct{ remote }

// Run implements the command.
func (c *tenantList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	all, err := list(ctx, client, "/tenants", nil, func(p *api.ListTenantsResponse) ([]*api.TenantQuotas, string) {
		return p.Tenants, p.NextPageToken
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, all)
	}
	rows := [][]string{}
	for _, of := range all {
		use, exceeded := map[string]int64{}, int64(0)
		for _, q := range of.Quotas {
			use[q.Name] = int64(q.Use)
			exceeded += int64(q.Exceeded)
		}
		row := []string{of.FolderID}
		for _, q := range []quota.Quota{quota.Functions, quota.Instances, quota.Memory, quota.Connections} {
			row = append(row, fmt.Sprint(use[q.String()]))
		}
		rows = append(rows, append(row, fmt.Sprint(exceeded), ceilingText(of.AllowNet)))
	}
	return printTable(s.stdout, "TENANT FUNCTIONS INSTANCES MEMORY CONNECTIONS EXCEEDED NETWORK", rows)
}
