package host

import (
	"slices"
	"strings"

	"vivarium/host/run"
)

// GetFigures returns the last points, up to MaxFigures, of the function of that
// id or name.
//
// # Errors
//
// *fault.NotFoundError.
func (h *Host) GetFigures(idOrName string, points int) (run.FunctionFigures, error) {
	f, err := h.lookup(idOrName)
	if err != nil {
		return run.FunctionFigures{}, err
	}
	return h.runner.Figures(f.id, points), nil
}

// Figures returns the last points, up to MaxFigures, of the functions of a
// tenant, or of all, by the functions' names.
func (h *Host) Figures(tenant string, points int) []run.FunctionFigures {
	names := map[string]string{} // by id
	h.mu.RLock()
	for id, f := range h.functions {
		if within(tenant, f.record.Tenant) {
			names[id] = f.record.Name + "\x00" + id
		}
	}
	h.mu.RUnlock()
	all := make([]run.FunctionFigures, 0, len(names))
	for id := range names {
		all = append(all, h.runner.Figures(id, points))
	}
	slices.SortFunc(all, func(a, b run.FunctionFigures) int { return strings.Compare(names[a.FunctionID], names[b.FunctionID]) })
	return all
}
