package run

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/paced"
)

// recording is what a call collects for the history. A nil one collects nothing.
type recording struct {
	event       []byte
	connections []history.Connection
	refused     []string
}

// remember returns the recording of a call, nil if nobody wants it.
func (c *call) remember() *recording {
	if c.inv.Kept == nil && !c.r.cfg.History.Wants(c.v.FunctionID) {
		return nil
	}
	m := &recording{}
	if build := c.inv.Event; build != nil {
		c.inv.Event = func(work paced.Work) []byte {
			m.event = build(work)
			return m.event
		}
	}
	return m
}

// network notes what the call had to do with the network.
func (m *recording) network(g guest) {
	s, ok := g.Net().(*egress.Session)
	if m == nil || !ok {
		return
	}
	for _, u := range s.Used() {
		c := history.Connection{Target: u.Target, Bytes: u.Bytes}
		if len(u.Names) > 0 {
			c.Name = u.Names[len(u.Names)-1]
		}
		m.connections = append(m.connections, c)
	}
	m.refused = s.Refused()
}

// keep hands the call over to the history.
func (c *call) keep(err error) {
	m := c.recording
	if m == nil {
		return
	}
	if m.event == nil && c.inv.Event != nil { // it ended before the handler was to have it
		c.inv.Event(func(int) {})
	}
	f := c.result.Figures
	made := history.Made{
		Owner: c.v.LogOwner(), Event: m.event, Answer: c.result.Body, Document: !c.inv.Raw,
		Call: history.Call{
			VersionID: c.v.ID, RequestID: c.inv.RequestID, Kind: cmp.Or(c.inv.Kind, history.HTTP), ReplayOf: c.inv.ReplayOf,
			Received: c.inv.Received, Status: c.result.Status, Connections: m.connections, Refused: m.refused,
			Figures: history.Figures{
				Duration: f.Duration, Queuing: f.Queuing, Making: f.Making, Loading: max(0, f.Init-f.Making), Handler: f.Handler,
				CPU: f.CPU, PeakMemory: f.PeakMemory, Cold: f.Cold,
			},
		},
	}
	if len(c.v.Secrets) > 0 {
		made.Hide = func() (values []string) {
			secrets, _ := c.r.maker.secrets(c.v.Version) // without them, the call could not have them either
			return slices.Collect(maps.Values(secrets))
		}
	}
	switch {
	case c.inv.Raw:
		made.Event = c.inv.Body
		if made.Kind == history.HTTP {
			made.Kind = history.Raw
		}
	default:
		made.Body = len(c.inv.Body)
	}
	if err != nil {
		made.Status, made.Error = c.outcome(err)
		fe, ok := errors.AsType[*fault.FunctionError](err)
		switch {
		case ok:
			made.Error, made.Answer = fe.Type, fe.Body()
		case c.unfit: // what the handler returned shows why
			made.Error = err.Error()
		default:
			made.Answer = nil
		}
	}
	if c.inv.Kept != nil {
		c.inv.Kept(made)
		return
	}
	c.r.cfg.History.Add(made)
}
