package host

import (
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
)

// FunctionFigures returns the last points, up to run.MaxFigures, of the function that p
// means by an id or a name.
//
// # Errors
//
// *fault.NotFoundError.
func (h *Host) FunctionFigures(p access.Principal, function string, points int) (run.FunctionFigures, error) {
	if err := p.Allow("FunctionFigures"); err != nil {
		return run.FunctionFigures{}, err
	}
	f, err := h.catalog.Function(p, function)
	if err != nil {
		return run.FunctionFigures{}, err
	}
	return h.runner.Figures(f.ID, points), nil
}

// Figures returns the last points, up to run.MaxFigures, of those of some functions that are
// within p's reach.
func (h *Host) Figures(p access.Principal, functions []catalog.FunctionInfo, points int) ([]run.FunctionFigures, error) {
	if err := p.Allow("Figures"); err != nil {
		return nil, err
	}
	var all []run.FunctionFigures
	for _, f := range functions {
		if p.ActsFor(f.Tenant) {
			all = append(all, h.runner.Figures(f.ID, points))
		}
	}
	return all, nil
}
