package run

import (
	"cmp"
	"context"
	"errors"

	"vivarium/host/catalog"
)

// fill makes the instances that the version keeps ready, and loads its module
// in them. What goes wrong is left for calls to meet and to report.
func (v *live) fill(ctx context.Context) {
	for v.pool.place(func(l catalog.Limits) int { return l.Ready }) {
		if v.load(ctx) != nil {
			return
		}
	}
}

// ready makes one instance that has loaded the module, unless there are as many as
// the version may have.
func (v *live) ready(ctx context.Context) error {
	if !v.pool.place(func(l catalog.Limits) int { return l.Instances }) {
		return nil
	}
	return v.load(ctx)
}

// load makes an instance and loads the module in it; the place for it is already
// taken. A *loadError says that it does not load.
func (v *live) load(ctx context.Context) error {
	p := v.pool
	in, err := p.make(ctx)
	if err != nil {
		return err
	}
	if !in.loaded {
		secrets, err := p.r.maker.secrets(v.Version)
		var out printed
		if err == nil {
			_, out, err = p.r.maker.loadAlone(ctx, in.guest, v, v.loadRequest(secrets), v.Timeout)
		}
		if err != nil || !in.Usable() {
			p.discard(in)
			return cmp.Or(err, errUnusable)
		}
		in.loaded, in.printed = true, out
	}
	p.park(in)
	return nil
}

// errUnusable says that an instance is of no use though its module has loaded.
var errUnusable = errors.New("the instance is of no use")
