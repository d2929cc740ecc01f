package host

import (
	"vivarium/host/access"
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

// Figures returns the last points, up to run.MaxFigures, of the functions within p's
// reach, by the functions' names.
func (h *Host) Figures(p access.Principal, points int) ([]run.FunctionFigures, error) {
	if err := p.Allow("Figures"); err != nil {
		return nil, err
	}
	functions, err := h.catalog.Functions(p)
	all := make([]run.FunctionFigures, len(functions))
	for i, f := range functions {
		all[i] = h.runner.Figures(f.ID, points)
	}
	return all, err
}
