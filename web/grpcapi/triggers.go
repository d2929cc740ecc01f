package grpcapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	triggers "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/triggers/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/web/manage"
)

// triggerMethods are those of TriggerService: a trigger is a timer here, of which others
// know as those of the host.
func (s *Server) triggerMethods() map[string]method {
	return map[string]method{
		"Get":            unary("Timer", s.getTrigger),
		"List":           unary("Timers", s.listTriggers),
		"Create":         unary("CreateTimer", s.createTrigger),
		"Update":         unary("UpdateTimer", s.updateTrigger),
		"Delete":         unary("DeleteTimer", s.deleteTrigger),
		"Pause":          unary("UpdateTimer", s.pauseTrigger),
		"Resume":         unary("UpdateTimer", s.resumeTrigger),
		"ListOperations": unary("Timer", s.listTriggerOperations),
	}
}

func (s *Server) getTrigger(ctx context.Context, in *triggers.GetTriggerRequest) (*triggers.Trigger, error) {
	t, err := s.host.Events().Timer(access.PrincipalOf(ctx), in.TriggerId)
	if err != nil {
		return nil, inTrigger(err)
	}
	return newTrigger(t), nil
}

func (s *Server) listTriggers(ctx context.Context, in *triggers.ListTriggersRequest) (*triggers.ListTriggersResponse, error) {
	p, err := within(ctx, in.FolderId)
	if err != nil {
		return nil, err
	}
	all, err := s.host.Events().Timers(p, "")
	if err != nil {
		return nil, err
	}
	if all, err = manage.Filter(all, in.Filter, func(t events.Timer) string { return t.Name }); err != nil {
		return nil, err
	}
	size, err := pageSize(in.PageSize)
	if err != nil {
		return nil, err
	}
	timers, next, err := manage.Page(all, size, in.PageToken, func(t events.Timer) string { return t.Name + "\x00" + t.ID })
	answer := &triggers.ListTriggersResponse{NextPageToken: next}
	for _, t := range timers {
		answer.Triggers = append(answer.Triggers, newTrigger(t))
	}
	return answer, err
}

func (s *Server) createTrigger(ctx context.Context, in *triggers.CreateTriggerRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	p, err := within(ctx, in.FolderId)
	if err != nil {
		return nil, err
	}
	rule, err := timerRule(in.Rule)
	if err != nil {
		return nil, err
	}
	t, err := s.host.Events().CreateTimer(ctx, p, events.TimerSpec{
		Name: in.Name, Function: rule.Function, Tag: rule.Tag, Cron: rule.Cron, Payload: rule.Payload,
		Description: in.Description, Labels: in.Labels, ServiceAccountID: rule.ServiceAccountID, Retry: rule.Retry,
	})
	if err != nil {
		return nil, inTrigger(err)
	}
	return s.triggerDone(ctx, "Create trigger", "CreateTriggerMetadata", started, t)
}

func (s *Server) updateTrigger(ctx context.Context, in *triggers.UpdateTriggerRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	changes, err := maskOf(in, "name", "description", "labels", "rule")
	if err != nil {
		return nil, err
	}
	var u events.TimerUpdate
	if slices.Contains(changes, "name") {
		u.Name = &in.Name
	}
	if slices.Contains(changes, "description") {
		u.Description = &in.Description
	}
	if slices.Contains(changes, "labels") {
		if u.Labels = in.Labels; u.Labels == nil {
			u.Labels = map[string]string{}
		}
	}
	if slices.Contains(changes, "rule") {
		if u.Rule, err = timerRule(in.Rule); err != nil {
			return nil, err
		}
	}
	t, err := s.host.Events().UpdateTimer(ctx, access.PrincipalOf(ctx), in.TriggerId, u)
	if err != nil {
		return nil, inTrigger(err)
	}
	return s.triggerDone(ctx, "Update trigger", "UpdateTriggerMetadata", started, t)
}

// update is a request with a mask.
type update interface {
	proto.Message
	GetUpdateMask() *fieldmaskpb.FieldMask
}

// maskOf returns the fields that a request changes: those that its mask names, or else
// those of the changeable that it has.
func maskOf(in update, changeable ...string) ([]string, error) {
	if mask := in.GetUpdateMask(); len(mask.GetPaths()) > 0 {
		for _, path := range mask.GetPaths() {
			if !slices.Contains(changeable, path) {
				return nil, fault.Invalidf("update_mask", "%.80q can't be changed; these can: %s", path, strings.Join(changeable, ", "))
			}
		}
		return mask.Paths, nil
	}
	mask := &fieldmaskpb.FieldMask{}
	m := in.ProtoReflect()
	for i := range m.Descriptor().Fields().Len() {
		if field := m.Descriptor().Fields().Get(i); m.Has(field) && slices.Contains(changeable, string(field.Name())) {
			mask.Paths = append(mask.Paths, string(field.Name()))
		}
	}
	return mask.Paths, nil
}

func (s *Server) deleteTrigger(ctx context.Context, in *triggers.DeleteTriggerRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	t, err := s.host.Events().DeleteTimer(ctx, access.PrincipalOf(ctx), in.TriggerId)
	if err != nil {
		return nil, inTrigger(err)
	}
	return s.operation(ctx, s.desk.Operations.Done(ctx, s.triggerChange(ctx, "Delete trigger", "DeleteTriggerMetadata", started, t), nil))
}

func (s *Server) pauseTrigger(ctx context.Context, in *triggers.PauseTriggerRequest) (*operation.Operation, error) {
	return s.setPaused(ctx, in.TriggerId, true, "Pause trigger", "PauseTriggerMetadata")
}

func (s *Server) resumeTrigger(ctx context.Context, in *triggers.ResumeTriggerRequest) (*operation.Operation, error) {
	return s.setPaused(ctx, in.TriggerId, false, "Resume trigger", "ResumeTriggerMetadata")
}

func (s *Server) setPaused(ctx context.Context, id string, paused bool, description, kind string) (*operation.Operation, error) {
	started := time.Now().UTC()
	t, err := s.host.Events().UpdateTimer(ctx, access.PrincipalOf(ctx), id, events.TimerUpdate{Paused: &paused})
	if err != nil {
		return nil, inTrigger(err)
	}
	return s.triggerDone(ctx, description, kind, started, t)
}

func (s *Server) listTriggerOperations(
	ctx context.Context, in *triggers.ListTriggerOperationsRequest,
) (*triggers.ListTriggerOperationsResponse, error) {
	t, err := s.host.Events().Timer(access.PrincipalOf(ctx), in.TriggerId)
	if err != nil {
		return nil, inTrigger(err)
	}
	if in.Filter != "" {
		return nil, fault.Invalidf("filter", "must be empty")
	}
	size, err := pageSize(in.PageSize)
	if err != nil {
		return nil, err
	}
	all, err := s.desk.Operations.Of(ctx, catalog.TenantOr(t.Tenant), t.ID)
	if err != nil {
		return nil, err
	}
	found, next, err := manage.Page(all, size, in.PageToken, manage.OperationKey)
	if err != nil {
		return nil, err
	}
	described, err := s.operations(ctx, found)
	return &triggers.ListTriggerOperationsResponse{Operations: described, NextPageToken: next}, err
}

// triggerDone returns the operation of a change that was made.
func (s *Server) triggerDone(
	ctx context.Context, description, kind string, started time.Time, t events.Timer,
) (*operation.Operation, error) {
	return s.operation(ctx, s.desk.Operations.Done(ctx, s.triggerChange(ctx, description, kind, started, t), t))
}

func (s *Server) triggerChange(ctx context.Context, description, kind string, started time.Time, t events.Timer) manage.Change {
	return manage.Change{
		Description: description, Kind: "yandex.cloud.serverless.triggers.v1." + kind, IDs: map[string]string{"triggerId": t.ID},
		By: access.PrincipalOf(ctx), Started: started, Tenant: catalog.TenantOr(t.Tenant), About: t.ID,
	}
}

// timerRule returns what a rule says of a timer. All other kinds are refused by name.
func timerRule(rule *triggers.Trigger_Rule) (*events.TimerRule, error) {
	timer := rule.GetTimer()
	if timer == nil {
		m := rule.ProtoReflect()
		if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("rule")); rule != nil && field != nil {
			return nil, fault.Invalidf("rule."+string(field.Name()), "is not supported: triggers of this kind have no source here; use timer")
		}
		return nil, fault.Invalidf("rule", "is missing; give it a timer")
	}
	r := &events.TimerRule{Cron: timer.CronExpression, Payload: timer.Payload}
	switch action := timer.Action.(type) {
	case *triggers.Trigger_Timer_InvokeFunction:
		//lint:ignore SA1019 older clients send it
		f := action.InvokeFunction
		r.Function, r.Tag, r.ServiceAccountID = f.GetFunctionId(), f.GetFunctionTag(), f.GetServiceAccountId()
	case *triggers.Trigger_Timer_InvokeFunctionWithRetry:
		f := action.InvokeFunctionWithRetry
		r.Function, r.Tag, r.ServiceAccountID = f.GetFunctionId(), f.GetFunctionTag(), f.GetServiceAccountId()
		const field = "rule.timer.invoke_function_with_retry."
		if retry := f.GetRetrySettings(); retry != nil {
			r.Retry = events.Retry{Attempts: int(min(max(retry.RetryAttempts, -1), 1000)), Interval: retry.GetInterval().AsDuration()}
			if r.Retry == (events.Retry{}) {
				return nil, fault.Invalidf(field+"retry_settings", "is empty; give it retry_attempts and interval, or leave it out")
			}
		}
		if f.GetDeadLetterQueue() != nil {
			return nil, fault.Invalidf(field+"dead_letter_queue", "is not supported: there are no message queues here; calls that fail for good are dead letters of the function")
		}
	default:
		m := timer.ProtoReflect()
		if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("action")); field != nil {
			return nil, fault.Invalidf("rule.timer."+string(field.Name()), "is not supported: timers call functions; use invoke_function_with_retry")
		}
		return nil, fault.Invalidf("rule.timer.invoke_function_with_retry", "is missing")
	}
	if r.Function == "" {
		return nil, fault.Invalidf("rule.timer.invoke_function_with_retry.function_id", "is missing; give the id or name of a function")
	}
	return r, nil
}

// ruleFields are the fields of a trigger's rule, by the host's names.
var ruleFields = map[string]string{
	"cron_expression": "rule.timer.cron_expression", "payload": "rule.timer.payload", "function": "rule.timer.invoke_function_with_retry.function_id",
	"tag":                "rule.timer.invoke_function_with_retry.function_tag",
	"service_account_id": "rule.timer.invoke_function_with_retry.service_account_id",
	"retry_attempts":     "rule.timer.invoke_function_with_retry.retry_settings.retry_attempts",
	"retry_interval":     "rule.timer.invoke_function_with_retry.retry_settings.interval",
}

// inTrigger names things as triggers do in an error about a timer.
func inTrigger(err error) error {
	if e, ok := errors.AsType[*fault.InvalidError](err); ok && ruleFields[e.Field] != "" {
		return &fault.InvalidError{Field: ruleFields[e.Field], Rule: e.Rule}
	}
	if e, ok := errors.AsType[*fault.NotFoundError](err); ok && e.Thing == "timer" {
		return &fault.NotFoundError{Thing: "trigger", Name: e.Name}
	}
	return err
}

func newTrigger(t events.Timer) *triggers.Trigger {
	call := &triggers.InvokeFunctionWithRetry{FunctionId: t.FunctionID, FunctionTag: t.Tag, ServiceAccountId: t.ServiceAccountID}
	if t.Retry != (events.Retry{}) {
		call.RetrySettings = &triggers.RetrySettings{RetryAttempts: int64(t.Retry.Attempts), Interval: durationpb.New(t.Retry.Interval)}
	}
	trigger := &triggers.Trigger{
		Id: t.ID, FolderId: catalog.TenantOr(t.Tenant), CreatedAt: timestamppb.New(t.CreatedAt), Name: t.Name,
		Description: t.Description, Labels: t.Labels, Status: triggers.Trigger_ACTIVE,
		Rule: &triggers.Trigger_Rule{Rule: &triggers.Trigger_Rule_Timer{Timer: &triggers.Trigger_Timer{
			CronExpression: t.Cron, Payload: t.Payload,
			Action: &triggers.Trigger_Timer_InvokeFunctionWithRetry{InvokeFunctionWithRetry: call},
		}}},
	}
	if t.Paused {
		trigger.Status = triggers.Trigger_PAUSED
	}
	return trigger
}
