package api

import (
	"time"

	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/web/manage"
)

// DeadLetter is an asynchronous call that failed for good.
type DeadLetter struct {
	ID         string `json:"id"`
	FunctionID string `json:"functionId"`
	VersionID  string `json:"functionVersionId" doc:"Of the last attempt."`
	Tag        string `json:"tag"`
	RequestID  string `json:"requestId"`
	Attempts   Int64  `json:"attempts"`
	Error      string `json:"error" doc:"The answer to the last attempt."`
	FailedAt   Time   `json:"failedAt"`
	Body       []byte `json:"body" doc:"What the function was called with."`
}

// ListDeadLettersResponse is dead letters, oldest first.
type ListDeadLettersResponse struct {
	DeadLetters   []DeadLetter `json:"deadLetters"`
	NextPageToken string       `json:"nextPageToken,omitempty" doc:"Empty when there are no more."`
}

// ReplayResponse tells of a dead letter that is a queued call again.
type ReplayResponse struct {
	RequestID string `json:"requestId"`
}

// Timer calls a function at the times that a cron expression names.
type Timer struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	FunctionID string `json:"functionId"`
	Tag        string `json:"tag"`
	Cron       string `json:"cronExpression"`
	TimeZone   string `json:"timeZone"`
	Payload    string `json:"payload"`
	CreatedAt  Time   `json:"createdAt"`
	LastTick   Time   `json:"lastTick" doc:"null before the first."`
	NextTick   Time   `json:"nextTick"`
	Paused     bool   `json:"paused,omitempty" doc:"It does not tick."`

	RetryAttempts Int64    `json:"retryAttempts,omitempty" doc:"Attempts after the first one failed, 1 to 5. Without any, the version's asyncInvocationConfig counts."`
	RetryInterval Duration `json:"retryInterval,omitempty" doc:"Before each of them, 10s to 60s."`
}

// CreateTimerRequest is the body of POST /timers.
type CreateTimerRequest struct {
	Name       string `json:"name"`
	FunctionID string `json:"functionId" doc:"Id or name."`
	Tag        string `json:"tag" doc:"Default: $latest."`
	Cron       string `json:"cronExpression" doc:"minute hour day month weekday [year] with ? as day or weekday, as in the cloud; [second] minute hour day month weekday as in Unix; or @hourly and such."`
	TimeZone   string `json:"timeZone" doc:"As in Europe/Berlin. Default: UTC."`
	Payload    string `json:"payload" doc:"Part of the event."`

	RetryAttempts Int64    `json:"retryAttempts,omitempty" doc:"Attempts after the first one failed, 1 to 5. Without any, the version's asyncInvocationConfig counts."`
	RetryInterval Duration `json:"retryInterval,omitempty" doc:"Before each of them, 10s to 60s."`
}

// ListTimersResponse is timers, in order of name.
type ListTimersResponse struct {
	Timers []Timer `json:"timers"`
}

func newTimer(t events.Timer) Timer {
	timer := Timer{
		ID: t.ID, Name: t.Name, FunctionID: t.FunctionID, Tag: t.Tag, Cron: t.Cron, TimeZone: t.TimeZone,
		Payload: t.Payload, CreatedAt: Time(t.CreatedAt), LastTick: Time(t.LastTick), NextTick: Time(t.NextTick), Paused: t.Paused,
		RetryAttempts: Int64(t.Retry.Attempts), RetryInterval: Duration(t.Retry.Interval),
	}
	if timer.Tag == "" {
		timer.Tag = catalog.LatestTag
	}
	if timer.TimeZone == "" {
		timer.TimeZone = time.UTC.String()
	}
	return timer
}

func (h *Handler) listDeadLetters(q *request) (any, error) {
	limit, err := q.number("limit", manage.MaxPage)
	if err != nil {
		return nil, err
	}
	letters, next, err := h.host.Events().DeadLetters(
		q.Context(), q.principal, q.query.Get("functionId"), limit, q.query.Get("pageToken"))
	if err != nil {
		return nil, err
	}
	answer := &ListDeadLettersResponse{DeadLetters: []DeadLetter{}, NextPageToken: next}
	for _, l := range letters {
		answer.DeadLetters = append(answer.DeadLetters, DeadLetter{
			l.ID, l.FunctionID, l.VersionID, l.Tag, l.RequestID, Int64(l.Attempts), l.Error, Time(l.FailedAt), l.Body,
		})
	}
	return answer, nil
}

func (h *Handler) replayDeadLetter(q *request) (any, error) {
	id, err := h.host.Events().ReplayDeadLetter(q.Context(), q.principal, q.path["deadLetterId"])
	if err != nil {
		return nil, err
	}
	return &ReplayResponse{id}, nil
}

func (h *Handler) listTimers(q *request) (any, error) {
	timers, err := h.host.Events().Timers(q.principal, q.query.Get("functionId"))
	if err != nil {
		return nil, err
	}
	answer := &ListTimersResponse{Timers: []Timer{}}
	for _, t := range timers {
		answer.Timers = append(answer.Timers, newTimer(t))
	}
	return answer, nil
}

func (h *Handler) createTimer(q *request) (any, error) {
	started, body := now(), q.body.(*CreateTimerRequest)
	t, err := h.host.Events().CreateTimer(q.Context(), q.principal, events.TimerSpec{
		Name: body.Name, Function: body.FunctionID, Tag: body.Tag, Cron: body.Cron, TimeZone: body.TimeZone, Payload: body.Payload,
		Retry: events.Retry{Attempts: int(body.RetryAttempts), Interval: time.Duration(body.RetryInterval)},
	})
	if err != nil {
		return nil, err
	}
	return h.done(q, "Create timer", "CreateTimerMetadata", subject{t.Tenant, t.ID}, started,
		ids{"timerId": t.ID}, t), nil
}

func (h *Handler) pauseTimer(q *request) (any, error)  { return h.setPaused(q, true) }
func (h *Handler) resumeTimer(q *request) (any, error) { return h.setPaused(q, false) }

func (h *Handler) setPaused(q *request, paused bool) (any, error) {
	started, title, metadata := now(), "Resume timer", "ResumeTimerMetadata"
	if paused {
		title, metadata = "Pause timer", "PauseTimerMetadata"
	}
	t, err := h.host.Events().UpdateTimer(q.Context(), q.principal, q.path["timerId"], events.TimerUpdate{Paused: &paused})
	if err != nil {
		return nil, err
	}
	return h.done(q, title, metadata, subject{t.Tenant, t.ID}, started, ids{"timerId": t.ID}, t), nil
}

func (h *Handler) deleteTimer(q *request) (any, error) {
	started := now()
	t, err := h.host.Events().DeleteTimer(q.Context(), q.principal, q.path["timerId"])
	if err != nil {
		return nil, err
	}
	return h.done(q, "Delete timer", "DeleteTimerMetadata", subject{tenant: t.Tenant}, started, ids{"timerId": t.ID}, nil), nil
}
