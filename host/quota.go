package host

import "vivarium/host/quota"

// The names that package quota has for what its users here and in package web
// speak of most.
type (
	// Quota is a thing of which a tenant may have only so much.
	Quota = quota.Quota
	// Quotas are a number for each Quota.
	Quotas = quota.Amounts
	// QuotaError says that a tenant has all that it may have of something.
	QuotaError = quota.Error
)

// What there are quotas for.
const (
	QuotaFunctions  = quota.Functions
	QuotaVersions   = quota.Versions
	QuotaCodeBytes  = quota.CodeBytes
	QuotaImageBytes = quota.ImageBytes
	QuotaInstances  = quota.Instances
	QuotaMemory     = quota.Memory
	QuotaCalls      = quota.Calls
	QuotaTimers     = quota.Timers
	QuotaAsyncCalls = quota.AsyncCalls
	QuotaAsyncBytes = quota.AsyncBytes
	QuotaLogBytes   = quota.LogBytes
	QuotaLogStreams = quota.LogStreams

	QuotaConnections = quota.Connections
	QuotaCount       = quota.Count
)

// QuotaOf returns the quota of that name.
func QuotaOf(name string) (q Quota, ok bool) { return quota.Of(name) }

// newLedger makes the ledger of a host.
func (h *Host) newLedger() *quota.Ledger {
	defaults := h.cfg.Quotas.Or(quota.Defaults())
	if defaults[QuotaMemory] == 0 {
		defaults[QuotaMemory] = h.cfg.MaxMemory / 4 * 3
	}
	return quota.New(quota.Config{
		Defaults: defaults, Reclaim: func(tenant string, q Quota, own bool) bool { return h.runner.Reclaim(tenant, q, own) },
		Machine: Quotas{QuotaMemory: h.cfg.MaxMemory, QuotaImageBytes: h.cfg.MaxImageDisk},
	})
}
