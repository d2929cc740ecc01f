package catalog

import (
	"context"
	"slices"
	"strings"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// ScalingPolicy bounds the instances of the version that carries a tag
// (contract §6.4).
type ScalingPolicy struct {
	Tag                  string `json:"tag"`
	ProvisionedInstances int    `json:"provisioned_instances"` // kept ready
	ZoneInstancesLimit   int    `json:"zone_instances_limit"`  // 0: the version's own
	ZoneRequestsLimit    int    `json:"zone_requests_limit"`   // calls in progress and waiting; 0: no limit
}

// maxInstances bounds what a policy or a version may ask for: a mistyped number
// must not take all memory.
const maxInstances = 10_000

// Validate checks a policy.
//
// # Errors
//
// *fault.InvalidError.
func (p ScalingPolicy) Validate() error {
	switch {
	case p.Tag != LatestTag && (!tagName.MatchString(p.Tag) || len(p.Tag) > maxTagLength):
		return fault.Invalidf("tag", "%.80q must be %s or a tag", p.Tag, LatestTag)
	case p.ZoneInstancesLimit < 0 || p.ZoneInstancesLimit > maxInstances:
		return fault.Invalidf("zone_instances_limit", "%d must be between 0 and %d", p.ZoneInstancesLimit, maxInstances)
	case p.ZoneRequestsLimit < 0:
		return fault.Invalidf("zone_requests_limit", "%d must be 0, for no limit, or more", p.ZoneRequestsLimit)
	case p.ProvisionedInstances < 0 || p.ProvisionedInstances > maxInstances:
		return fault.Invalidf("provisioned_instances_count", "%d must be between 0 and %d", p.ProvisionedInstances, maxInstances)
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
// *fault.NotFoundError, *fault.InvalidError, *fault.ConflictError, fault.ErrUnavailable.
func (c *Catalog) SetScalingPolicy(ctx context.Context, p access.Principal, function string, policy ScalingPolicy) error {
	f, _, err := c.records.function(p, "SetScalingPolicy", function)
	if err != nil {
		return err
	}
	if err := policy.Validate(); err != nil {
		return err
	}
	_, err = c.records.change(ctx, f, func(r *functionRecord) error {
		r.Policies = slices.DeleteFunc(r.Policies, func(old ScalingPolicy) bool { return old.Tag == policy.Tag })
		r.Policies = append(r.Policies, policy)
		slices.SortFunc(r.Policies, func(a, b ScalingPolicy) int { return strings.Compare(a.Tag, b.Tag) })
		return nil
	})
	return err
}

// RemoveScalingPolicy takes the policy of a tag away.
//
// # Errors
//
// *fault.NotFoundError, *fault.ConflictError, fault.ErrUnavailable.
func (c *Catalog) RemoveScalingPolicy(ctx context.Context, p access.Principal, function, tag string) error {
	f, _, err := c.records.function(p, "RemoveScalingPolicy", function)
	if err != nil {
		return err
	}
	_, err = c.records.change(ctx, f, func(r *functionRecord) error {
		i := slices.IndexFunc(r.Policies, func(p ScalingPolicy) bool { return p.Tag == tag })
		if i < 0 {
			return &fault.NotFoundError{Function: function, Tag: tag}
		}
		r.Policies = slices.Delete(r.Policies, i, i+1)
		return nil
	})
	return err
}

// ScalingPolicies lists a function's policies by tag.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) ScalingPolicies(p access.Principal, function string) ([]ScalingPolicy, error) {
	_, r, err := c.records.function(p, "ScalingPolicies", function)
	return slices.Clone(r.Policies), err
}

// limits are those of one version's pool: its own, or what the scaling
// policies of its tags say.
func (r *functionRecord) limits(v *Version) Limits {
	l := Limits{Ready: v.MinInstances, Instances: v.MaxInstances}
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
