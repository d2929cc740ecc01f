package run

import (
	"encoding/json"
	"errors"
	"slices"
)

// Figures of several nodes are summed step by step, with their histograms: no quantile can be
// made of others.

// Add adds what another node has of the same function. Its last step is the present one, with
// the instances that there are now, though its clock may have come to another than this node's.
func (f *FunctionFigures) Add(other FunctionFigures) {
	present := len(f.steps) - 1
	for i, s := range other.steps {
		if i == len(other.steps)-1 {
			now := &f.steps[present]
			now.idle, now.busy, now.memory = now.idle+s.idle, now.busy+s.busy, now.memory+s.memory
			s.idle, s.busy, s.memory = 0, 0, 0
		}
		if at := min(s.number-f.steps[0].number, int64(present)); at >= 0 {
			f.steps[at].add(&s)
		}
	}
	f.show()
}

// wireFigures is FunctionFigures as nodes tell each other: the steps in which there was
// something, and the present one.
type wireFigures struct {
	FunctionID string     `json:"id"`
	Steps      []wireStep `json:"steps"`
}

type wireStep struct {
	Number    int64          `json:"n"`
	Calls     uint32         `json:"c,omitempty"`
	Errors    uint32         `json:"e,omitempty"`
	Idle      uint32         `json:"i,omitempty"`
	Busy      uint32         `json:"b,omitempty"`
	Memory    int64          `json:"m,omitempty"`
	Latencies map[int]uint32 `json:"l,omitempty"` // by bucket
}

// Empty reports whether there is nothing to add.
func (f FunctionFigures) Empty() bool {
	return !slices.ContainsFunc(f.steps, func(s figuresStep) bool { return s != figuresStep{number: s.number} })
}

// MarshalJSON implements json.Marshaler, for other nodes.
func (f FunctionFigures) MarshalJSON() ([]byte, error) {
	w := wireFigures{FunctionID: f.FunctionID, Steps: []wireStep{}}
	for i, s := range f.steps {
		if i < len(f.steps)-1 && s == (figuresStep{number: s.number}) {
			continue
		}
		step := wireStep{s.number, s.calls, s.errors, s.idle, s.busy, s.memory, map[int]uint32{}}
		for bucket, n := range s.latencies {
			if n > 0 {
				step.Latencies[bucket] = n
			}
		}
		w.Steps = append(w.Steps, step)
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler. What it makes is to be added, not shown.
func (f *FunctionFigures) UnmarshalJSON(text []byte) error {
	var w wireFigures
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	if len(w.Steps) > MaxFigures {
		return errors.New("figures of more steps than are remembered")
	}
	f.FunctionID, f.steps = w.FunctionID, make([]figuresStep, len(w.Steps))
	for i, w := range w.Steps {
		s := &f.steps[i]
		s.number, s.calls, s.errors, s.idle, s.busy, s.memory = w.Number, w.Calls, w.Errors, w.Idle, w.Busy, w.Memory
		for bucket, n := range w.Latencies {
			if bucket < 0 || bucket >= latencyBuckets {
				return errors.New("figures with a latency that there is not")
			}
			s.latencies[bucket] = n
		}
	}
	return nil
}
