package api

import (
	"math"
	"time"

	"vivarium/host/run"
)

// FunctionFigures are what became of a function's calls lately.
type FunctionFigures struct {
	FunctionID string `json:"functionId"`
	figures
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

// ListFiguresResponse is the figures of all functions.
type ListFiguresResponse struct {
	Functions []FunctionFigures `json:"functions"`
}

// listedPoints is how many points a function has in the list of all.
const listedPoints = 30

func (h *Handler) listFigures(q *request) (any, error) {
	answer := &ListFiguresResponse{Functions: []FunctionFigures{}}
	all, err := h.host.Figures(q.principal, listedPoints)
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
	answer := newFunctionFigures(f)
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
