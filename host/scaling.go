package host

import (
	"context"
	"slices"
	"strings"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// ScalingPolicy bounds the instances of the version that carries a tag
// (contract §6.4).
type ScalingPolicy struct {
	Tag                  string `json:"tag"`
	ProvisionedInstances int    `json:"provisioned_instances"` // kept ready
	ZoneInstancesLimit   int    `json:"zone_instances_limit"`  // 0: the version's own
	ZoneRequestsLimit    int    `json:"zone_requests_limit"`   // calls in progress and waiting; 0: no limit
}

// maxPolicyInstances bounds what a policy may ask for: a mistyped number must
// not take all memory.
const maxPolicyInstances = 10_000

func (p ScalingPolicy) validate() error {
	switch {
	case p.Tag != catalog.LatestTag && (!tagName.MatchString(p.Tag) || len(p.Tag) > maxTagLength):
		return fault.Invalidf("tag", "%.80q must be %s or a tag", p.Tag, catalog.LatestTag)
	case p.ZoneInstancesLimit < 0 || p.ZoneInstancesLimit > maxPolicyInstances:
		return fault.Invalidf("zone_instances_limit", "%d must be between 0 and %d", p.ZoneInstancesLimit, maxPolicyInstances)
	case p.ZoneRequestsLimit < 0:
		return fault.Invalidf("zone_requests_limit", "%d must be 0, for no limit, or more", p.ZoneRequestsLimit)
	case p.ProvisionedInstances < 0 || p.ProvisionedInstances > maxPolicyInstances:
		return fault.Invalidf("provisioned_instances_count", "%d must be between 0 and %d", p.ProvisionedInstances,
			maxPolicyInstances)
	case p.ZoneInstancesLimit > 0 && p.ProvisionedInstances > p.ZoneInstancesLimit:
		return fault.Invalidf("provisioned_instances_count", "%d must be at most zone_instances_limit, %d",
			p.ProvisionedInstances, p.ZoneInstancesLimit)
	}
	return nil
}

// SetScalingPolicy gives a tag of a function a policy in place of the one it
// had. It holds for whichever version carries the tag, and need not carry one.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError, ErrUnavailable.
func (h *Host) SetScalingPolicy(ctx context.Context, function string, p ScalingPolicy) error {
	f, err := h.lookup(function)
	if err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	return h.change(ctx, f, func(r *functionRecord) error {
		r.Policies = slices.DeleteFunc(r.Policies, func(old ScalingPolicy) bool { return old.Tag == p.Tag })
		r.Policies = append(r.Policies, p)
		slices.SortFunc(r.Policies, func(a, b ScalingPolicy) int { return strings.Compare(a.Tag, b.Tag) })
		return nil
	})
}

// RemoveScalingPolicy takes the policy of a tag away.
//
// # Errors
//
// *NotFoundError, *ConflictError, ErrUnavailable.
func (h *Host) RemoveScalingPolicy(ctx context.Context, function, tag string) error {
	f, err := h.lookup(function)
	if err != nil {
		return err
	}
	return h.change(ctx, f, func(r *functionRecord) error {
		i := slices.IndexFunc(r.Policies, func(p ScalingPolicy) bool { return p.Tag == tag })
		if i < 0 {
			return &fault.NotFoundError{Function: function, Tag: tag}
		}
		r.Policies = slices.Delete(r.Policies, i, i+1)
		return nil
	})
}

// ListScalingPolicies lists a function's policies by tag.
//
// # Errors
//
// *NotFoundError.
func (h *Host) ListScalingPolicies(function string) ([]ScalingPolicy, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.find(function)
	if f == nil {
		return nil, &fault.NotFoundError{Function: function}
	}
	return slices.Clone(f.record.Policies), nil
}

// limits are those of one version's pool: its own, or what the scaling
// policies of its tags say.
func (r *functionRecord) limits(v *catalog.Version) run.Limits {
	l := run.Limits{Ready: v.MinInstances, Instances: v.MaxInstances}
	most, provisioned := 0, 0
	for tag, id := range r.Tags {
		i := slices.IndexFunc(r.Policies, func(p ScalingPolicy) bool { return p.Tag == tag })
		if id != v.ID || i < 0 {
			continue
		}
		p := r.Policies[i]
		provisioned = max(provisioned, p.ProvisionedInstances)
		most = max(most, p.ZoneInstancesLimit)
		l.Requests = max(l.Requests, p.ZoneRequestsLimit)
	}
	if most > 0 {
		l.Instances = most
	}
	l.Ready = max(l.Ready, provisioned)
	if len(r.tagsOf(v.ID)) == 0 {
		l.Ready = 0
	}
	l.Instances = max(l.Instances, l.Ready)
	return l
}
