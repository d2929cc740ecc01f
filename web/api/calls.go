package api

import (
	"bytes"
	"net/http"
	"time"

	"vivarium/host"
	"vivarium/host/history"
	"vivarium/host/profile"
)

// Call is a call in the history. A list has neither events, answers nor connections.
type Call struct {
	ID         string     `json:"id"`
	FunctionID string     `json:"functionId"`
	VersionID  string     `json:"functionVersionId"`
	RequestID  string     `json:"requestId" doc:"That of its log entries; attempts of an asynchronous call have one in common."`
	Kind       string     `json:"kind" doc:"HTTP, RAW, ASYNC or TIMER."`
	ReplayOf   string     `json:"replayOf,omitempty" doc:"The call that this one repeats."`
	ReceivedAt Time       `json:"receivedAt"`
	Status     int        `json:"status" doc:"Of the HTTP response, or what it would have been."`
	Error      string     `json:"error,omitempty" doc:"Its type, when the call failed."`
	Cold       bool       `json:"cold" doc:"It was the first of its instance."`
	DurationMS float64    `json:"durationMS" doc:"All of it, from the request's arrival."`
	CPUMS      float64    `json:"cpuMS" doc:"Computing."`
	Memory     Int64      `json:"memory" doc:"Bytes of the instance's linear memory."`
	Phases     CallPhases `json:"phases"`

	Connections []CallConnection `json:"connections,omitempty" doc:"That the call used, each target once."`
	Refused     []string         `json:"refused,omitempty" doc:"Why it may not reach others."`

	Event  *CallText `json:"event,omitempty"`
	Answer *CallText `json:"answer,omitempty"`

	Profile []byte `json:"profile,omitempty" doc:"Of a replay that asked for one: where the time went, by lines of Python, in pprof's format."`
	// ProfileTree is the same for a page to draw.
	ProfileTree []ProfileLine `json:"profileTree,omitempty" doc:"The same as lines, each before those that it called, and of those the one that took longest first."`
}

// ProfileLine is a line of Python that was executed, with the time of all that it called.
type ProfileLine struct {
	Depth       int     `json:"depth" doc:"0 for the outermost."`
	Function    string  `json:"function"`
	File        string  `json:"file"`
	Line        int     `json:"line" doc:"0 if it is unknown."`
	ComputingMS float64 `json:"computingMS"`
	WaitingMS   float64 `json:"waitingMS" doc:"For time, locks and the network."`
}

// CallPhases tell where the time of a call went.
type CallPhases struct {
	QueuingMS float64 `json:"queuingMS" doc:"Waiting for an instance."`
	MakingMS  float64 `json:"makingMS" doc:"Making an instance."`
	LoadingMS float64 `json:"loadingMS" doc:"Importing the module."`
	HandlerMS float64 `json:"handlerMS" doc:"From handing over the event to the answer."`
}

// CallConnection is what a call had to do with a target.
type CallConnection struct {
	Target string `json:"target" doc:"As in tcp 192.0.2.1:443."`
	Name   string `json:"name,omitempty" doc:"Under which the function found it."`
	Bytes  Int64  `json:"bytes" doc:"Sent and received."`
}

// CallText is an event or an answer.
type CallText struct {
	Text     string   `json:"text" doc:"Of an HTTP event, the JSON document."`
	Base64   bool     `json:"base64,omitempty" doc:"The text is base64."`
	Bytes    int      `json:"bytes" doc:"As many as there were."`
	Cut      bool     `json:"cut,omitempty" doc:"The text is not the whole."`
	Redacted []string `json:"redacted,omitempty" doc:"Names of headers and fields whose values were taken out."`
}

// ListCallsResponse is calls of a function, newest first.
type ListCallsResponse struct {
	Calls []Call `json:"calls"`
}

// ReplayCallRequest is the body of POST /calls/{callId}:replay.
type ReplayCallRequest struct {
	VersionID   string  `json:"functionVersionId" doc:"Default: the version that the call was of."`
	Tag         string  `json:"tag" doc:"Names the version in place of its id."`
	Event       *string `json:"event" doc:"Default: what the function was called with then."`
	EventBase64 []byte  `json:"eventBase64" doc:"In place of event, if it is no text."`
	Profile     bool    `json:"profile" doc:"Find out where the time goes."`
}

// CallPolicy says what is kept of a function's calls.
type CallPolicy struct {
	Off    bool     `json:"off,omitempty" doc:"Nothing."`
	Redact []string `json:"redact,omitempty" doc:"Names of headers and fields whose values are not kept, besides the usual ones."`
}

func newCallPolicy(p history.Policy) *CallPolicy {
	if !p.Off && len(p.Redact) == 0 {
		return nil
	}
	return &CallPolicy{p.Off, p.Redact}
}

// policy returns what the host takes; nil when nothing is said.
func (p *CallPolicy) policy() *history.Policy {
	if p == nil {
		return nil
	}
	return &history.Policy{Off: p.Off, Redact: p.Redact}
}

// newCall describes a call, whole or as in a list.
func newCall(c history.Call, whole bool) Call {
	functionID, _, _ := history.ParseID(c.ID)
	call := Call{
		ID: c.ID, FunctionID: functionID, VersionID: c.VersionID, RequestID: c.RequestID, Kind: string(c.Kind),
		ReplayOf: c.ReplayOf, ReceivedAt: Time(c.Received), Status: c.Status, Error: c.Error, Cold: c.Figures.Cold,
		DurationMS: milliseconds(c.Figures.Duration), CPUMS: milliseconds(c.Figures.CPU), Memory: Int64(c.Figures.PeakMemory),
		Phases: CallPhases{
			QueuingMS: milliseconds(c.Figures.Queuing), MakingMS: milliseconds(c.Figures.Making),
			LoadingMS: milliseconds(c.Figures.Loading), HandlerMS: milliseconds(c.Figures.Handler),
		},
	}
	if !whole {
		return call
	}
	for _, n := range c.Connections {
		call.Connections = append(call.Connections, CallConnection{n.Target, n.Name, Int64(n.Bytes)})
	}
	call.Refused = c.Refused
	event, answer := CallText(c.Event), CallText(c.Answer)
	call.Event, call.Answer = &event, &answer
	return call
}

// listCalls serves GET /functions/{functionId}/calls.
func (h *Handler) listCalls(q *request) (any, error) {
	query := history.Query{
		Version: q.query.Get("versionId"), RequestID: q.query.Get("requestId"), Before: q.query.Get("before"),
	}
	var err error
	if query.Limit, err = q.number("limit", history.MaxCalls); err != nil {
		return nil, err
	}
	for name, at := range map[string]*time.Time{"since": &query.Since, "until": &query.Until} {
		if *at, err = q.moment(name); err != nil {
			return nil, err
		}
	}
	if query.Failed, err = q.flag("failed"); err != nil {
		return nil, err
	}
	calls, err := h.host.Calls().List(q.Context(), q.principal, q.path["functionId"], query)
	if err != nil {
		return nil, err
	}
	answer := &ListCallsResponse{Calls: make([]Call, len(calls))}
	for i, c := range calls {
		answer.Calls[i] = newCall(c, false)
	}
	return answer, nil
}

func (h *Handler) getCall(q *request) (any, error) {
	c, err := h.host.Calls().Get(q.Context(), q.principal, q.path["callId"])
	if err != nil {
		return nil, err
	}
	call := newCall(c, true)
	return &call, nil
}

// replayCall serves POST /calls/{callId}:replay. It takes as long as the call.
func (h *Handler) replayCall(q *request) (any, error) {
	body := q.body.(*ReplayCallRequest)
	replay := host.Replay{VersionID: body.VersionID, Tag: body.Tag, Event: body.EventBase64, Accept: h.config.Accept}
	switch {
	case body.Event != nil && body.EventBase64 != nil:
		return nil, invalid("event", "there is eventBase64 besides; give one of the two")
	case body.Event != nil:
		replay.Event = []byte(*body.Event)
	}
	if body.Profile {
		replay.Profile = profile.New()
	}
	c, err := h.host.Calls().Replay(q.Context(), q.principal, q.path["callId"], replay)
	if err != nil {
		return nil, err
	}
	// The server allows less time for answers than a function may take.
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(transferTimeout)) // a recorder knows none
	call := newCall(c, true)
	if replay.Profile != nil {
		var b bytes.Buffer
		if err := replay.Profile.Write(&b); err != nil {
			return nil, err
		}
		call.Profile, call.ProfileTree = b.Bytes(), newProfileTree(replay.Profile)
	}
	return &call, nil
}

func newProfileTree(p *profile.Profile) []ProfileLine {
	tree := p.Tree()
	lines := make([]ProfileLine, len(tree))
	for i, l := range tree {
		lines[i] = ProfileLine{l.Depth, l.Function, l.File, l.Line, milliseconds(l.Computing), milliseconds(l.Waiting)}
	}
	return lines
}
