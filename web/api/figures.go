package api

import (
	"context"
	"math"
	"time"

	"vivarium/host/run"
	"vivarium/web/manage"
)

// FunctionFigures are what became of a function's calls lately.
type FunctionFigures struct {
	FunctionID string `json:"functionId"`
	figures
	Incomplete
	Points []FiguresPoint `json:"points" doc:"Steps of ten seconds, oldest first; the last one has just begun."`
}

// FiguresPoint is what became of them within one step.
type FiguresPoint struct {
	Time Time `json:"time" doc:"When the step began."`
	figures
}

// figures are those of one step or several.
type figures struct {
	Calls  int     `json:"calls" doc:"Without those that callers have cancelled."`
	Errors int     `json:"errors" doc:"Calls that failed, through the function or the platform."`
	P50MS  float64 `json:"p50MS" doc:"Half of the calls took no longer, in milliseconds; exact to a quarter."`
	P99MS  float64 `json:"p99MS"`
	Idle   int     `json:"idle" doc:"Instances that wait for a call, as they were counted last."`
	Busy   int     `json:"busy" doc:"Instances that process one, or are being made."`
	Memory Int64   `json:"memory" doc:"Bytes that instances have taken for themselves."`
}

// ListFiguresResponse is the figures of functions, in order of name.
type ListFiguresResponse struct {
	Functions     []FunctionFigures `json:"functions"`
	NextPageToken string            `json:"nextPageToken,omitempty"`
	Incomplete
}

// Incomplete says what is missing in figures that are summed over the nodes of a cluster.
type Incomplete struct {
	SilentNodes int      `json:"silentNodes,omitempty" doc:"How many nodes did not answer within a second: what they have is missing."`
	Silent      []string `json:"silent,omitempty" doc:"Their addresses, for who may list the nodes."`
}

// Elsewhere asks other nodes for what they alone know. *web.Peers implements it.
type Elsewhere interface {
	// Figures returns what other nodes have of functions, and the addresses of those that did
	// not answer in time.
	Figures(ctx context.Context, functions []string, points int) (found []run.FunctionFigures, silent []string)
}

// sum adds to figures what other nodes have.
func (h *Handler) sum(q *request, all []run.FunctionFigures, points int) (missing Incomplete) {
	if h.config.Elsewhere == nil {
		return Incomplete{}
	}
	ids, at := make([]string, len(all)), make(map[string]int, len(all))
	for i, f := range all {
		ids[i], at[f.FunctionID] = f.FunctionID, i
	}
	found, silent := h.config.Elsewhere.Figures(q.Context(), ids, points)
	for _, f := range found {
		if i, ok := at[f.FunctionID]; ok {
			all[i].Add(f)
		}
	}
	missing.SilentNodes = len(silent)
	if q.principal.Allow("Nodes") == nil {
		missing.Silent = silent
	}
	return missing
}

// listedPoints is how many points a function has in the list of all.
const listedPoints = 30

func (h *Handler) listFigures(q *request) (any, error) {
	functions, err := h.host.Catalog().Functions(q.principal)
	if err != nil {
		return nil, err
	}
	part, next, err := page(q, functions, manage.FunctionKey)
	if err != nil {
		return nil, err
	}
	all, err := h.host.Figures(q.principal, part, listedPoints)
	answer := &ListFiguresResponse{Functions: []FunctionFigures{}, NextPageToken: next}
	answer.Incomplete = h.sum(q, all, listedPoints)
	for _, f := range all {
		answer.Functions = append(answer.Functions, newFunctionFigures(f))
	}
	return answer, err
}

func (h *Handler) getFigures(q *request) (any, error) {
	f, err := h.host.FunctionFigures(q.principal, q.path["functionId"], run.MaxFigures)
	if err != nil {
		return nil, err
	}
	all := []run.FunctionFigures{f}
	missing := h.sum(q, all, run.MaxFigures)
	answer := newFunctionFigures(all[0])
	answer.Incomplete = missing
	return &answer, nil
}

func newFunctionFigures(f run.FunctionFigures) FunctionFigures {
	answer := FunctionFigures{FunctionID: f.FunctionID, figures: newFigures(f.Total), Points: make([]FiguresPoint, len(f.Points))}
	for i, p := range f.Points {
		answer.Points[i] = FiguresPoint{Time(p.Time), newFigures(p)}
	}
	return answer
}

func newFigures(p run.FiguresPoint) figures {
	return figures{p.Calls, p.Errors, milliseconds(p.P50), milliseconds(p.P99), p.Idle, p.Busy, Int64(p.Memory)}
}

// milliseconds returns a duration in milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }
