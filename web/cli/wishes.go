package cli

import (
	"context"

	"vivarium/host/access"
	"vivarium/host/egress"
)

// wishes are what functions of dev want of the network and are not allowed. Somebody at
// the terminal decides about each, once.
type wishes struct {
	deployments *deployments
	allow       func(ctx context.Context, rule, who string) bool
	rules       string // what functions may reach at most; only grant changes it
	noted       chan wish
}

// wish is what a function was refused.
type wish struct{ functionID, rule string }

// newWishes returns wishes beyond rules. Where there is a process that connects, that one
// asks: it would connect to nothing else, whatever becomes of this one.
func newWishes(d *deployments, c *confinement, s *session, rules netRules) *wishes {
	w := &wishes{deployments: d, allow: c.allow, rules: string(rules), noted: make(chan wish, 16)}
	if w.allow == nil {
		w.allow = newAsker(rules.policy(), s.stdin, s.stderr).allow
	}
	return w
}

// everything is the server's bound on what functions may reach; bound sets the one that
// counts, which can change.
func (*wishes) everything() *egress.Policy {
	all, err := egress.ParseCeiling(egress.Unbounded)
	if err != nil {
		panic(err) // it is one
	}
	return all
}

// bound bounds what functions may reach by what is allowed now.
func (w *wishes) bound(ctx context.Context) error {
	return w.deployments.host.Tenants().SetCeiling(ctx, access.Operator, access.DefaultTenant, w.rules)
}

// note notes a wish. When too many wait for an answer the next call has to be refused
// again.
func (w *wishes) note(functionID, rule string) {
	select {
	case w.noted <- wish{functionID, rule}:
	default:
	}
}

// grant asks for what was noted and sees to it that the next call may have it. It returns
// when ctx ends.
func (w *wishes) grant(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-w.noted:
			f, err := w.deployments.host.Catalog().Function(access.Operator, one.functionID)
			if err != nil || !w.allow(ctx, one.rule, f.Name) {
				continue
			}
			w.rules = joinRules(w.rules, one.rule)
			if err := w.bound(ctx); err != nil {
				w.deployments.terminal.say("%s: %v", one.rule, err)
				continue
			}
			w.deployments.allow(f.Name, one.rule)
		}
	}
}
