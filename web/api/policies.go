package api

import (
	"math"

	"vivarium/host/catalog"
	"vivarium/web/manage"
)

// SetScalingPolicyRequest is the body of POST
// /functions/{functionId}:setScalingPolicy.
type SetScalingPolicyRequest struct {
	Tag                  string `json:"tag" doc:"$latest or a tag; no version needs to carry it yet."`
	ProvisionedInstances Int64  `json:"provisionedInstancesCount" doc:"Kept ready before the first call."`
	ZoneInstancesLimit   Int64  `json:"zoneInstancesLimit" doc:"Most instances at once; 0: the default."`
	ZoneRequestsLimit    Int64  `json:"zoneRequestsLimit" doc:"Most calls at once, waiting ones included; 0: no limit."`
}

// RemoveScalingPolicyRequest is the body of POST
// /functions/{functionId}:removeScalingPolicy.
type RemoveScalingPolicyRequest struct {
	Tag string `json:"tag"`
}

// ListScalingPoliciesResponse is a function's policies, in order of tag.
type ListScalingPoliciesResponse struct {
	Policies      []ScalingPolicy `json:"scalingPolicies"`
	NextPageToken string          `json:"nextPageToken,omitempty"`
}

func (h *Handler) listPolicies(q *request) (any, error) {
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	policies, err := h.host.Catalog().ScalingPolicies(q.principal, f.ID)
	if err != nil {
		return nil, err
	}
	policies, next, err := page(q, policies, func(p catalog.ScalingPolicy) string { return p.Tag })
	answer := &ListScalingPoliciesResponse{Policies: []ScalingPolicy{}, NextPageToken: next}
	for _, p := range policies {
		answer.Policies = append(answer.Policies, newPolicy(f.ID, p))
	}
	return answer, err
}

func (h *Handler) setPolicy(q *request) (any, error) {
	started, body := now(), q.body.(*SetScalingPolicyRequest)
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	policy := catalog.ScalingPolicy{Tag: body.Tag}
	for _, n := range []struct {
		to   *int
		from Int64
		name string
	}{
		{&policy.ProvisionedInstances, body.ProvisionedInstances, "provisionedInstancesCount"},
		{&policy.ZoneInstancesLimit, body.ZoneInstancesLimit, "zoneInstancesLimit"},
		{&policy.ZoneRequestsLimit, body.ZoneRequestsLimit, "zoneRequestsLimit"},
	} {
		if n.from < 0 || n.from > math.MaxInt32 {
			return nil, invalid(n.name, "must be 0 or more, and less than 2^31")
		}
		*n.to = int(n.from)
	}
	if err := h.host.Catalog().SetScalingPolicy(q.Context(), q.principal, f.ID, policy); err != nil {
		return nil, err
	}
	return h.done(q, "Set scaling policy", "SetScalingPolicyMetadata", of(f), started,
		ids{"functionId": f.ID}, manage.Policy{FunctionID: f.ID, ScalingPolicy: policy}), nil
}

func (h *Handler) removePolicy(q *request) (any, error) {
	started, body := now(), q.body.(*RemoveScalingPolicyRequest)
	f, err := h.host.Catalog().Function(q.principal, q.path["functionId"])
	if err != nil {
		return nil, err
	}
	if err := h.host.Catalog().RemoveScalingPolicy(q.Context(), q.principal, f.ID, body.Tag); err != nil {
		return nil, err
	}
	return h.done(q, "Remove scaling policy", "RemoveScalingPolicyMetadata", of(f), started,
		ids{"functionId": f.ID}, nil), nil
}
