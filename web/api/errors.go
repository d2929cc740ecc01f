package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"vivarium/host"
)

// Code is a google.rpc.Code, by which the cloud's API tells errors apart.
type Code int

// The codes that this API uses.
const (
	CodeInvalidArgument  Code = 3
	CodeNotFound         Code = 5
	CodePermissionDenied Code = 7
	CodeExhausted        Code = 8
	CodeAborted          Code = 10
	CodeUnimplemented    Code = 12
	CodeInternal         Code = 13
	CodeUnavailable      Code = 14
	CodeUnauthenticated  Code = 16
)

// Status is the body of every answer that is an error, a google.rpc.Status. It
// is also the error that a client gets.
type Status struct {
	Code    Code     `json:"code" doc:"google.rpc.Code: 3 invalid argument, 5 not found, 7 not allowed, 8 quota used up, 10 conflict, 13 internal, 14 unavailable, 16 no key, ..."`
	Message string   `json:"message" doc:"What is wrong, and what to do."`
	Details []Detail `json:"details"`
}

// Error implements error.
func (s *Status) Error() string { return s.Message }

// Detail is one of a Status's details: a google.rpc.BadRequest or a
// google.rpc.RequestInfo.
type Detail struct {
	Type            string           `json:"@type"`
	FieldViolations []FieldViolation `json:"fieldViolations,omitempty"`
	RequestID       string           `json:"requestId,omitempty"`
}

// FieldViolation says which field of a request breaks which rule.
type FieldViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// statusError is an error that has its answer already.
type statusError struct {
	http       int
	code       Code
	message    string
	violations []FieldViolation
	header     http.Header
}

func (e *statusError) Error() string { return e.message }

// invalid returns the caller's error for a field that breaks a rule.
func invalid(field, rule string) error {
	return invalidFields([]FieldViolation{{field, rule}})
}

// invalidFields is invalid for several fields; the message names them all.
func invalidFields(violations []FieldViolation) error {
	message := ""
	for i, v := range violations {
		if i > 0 {
			message += "; "
		}
		message += v.Field + ": " + v.Description
	}
	return &statusError{http: http.StatusBadRequest, code: CodeInvalidArgument, message: message, violations: violations}
}

// apiNames are the names that fields have here, where they are not just the
// host's in camelCase.
var apiNames = map[string]string{
	"memory": "resources.memory", "min_log_level": "logOptions.minLevel", "code": "content", "timer": "name",
	"cron": "cronExpression", "function": "functionId", "level": "minLevel",
}

var underscore = regexp.MustCompile(`_[a-z]`)

// apiName returns the name of one of the host's fields.
func apiName(field string) string {
	if name, ok := apiNames[field]; ok {
		return name
	}
	if strings.Contains(field, " ") { // environment variable "NAME"
		return field
	}
	return underscore.ReplaceAllStringFunc(field, func(s string) string { return strings.ToUpper(s[1:]) })
}

// statusOf is the table of errors: the answer for each kind. What it does not
// know is our own fault, of which the caller learns nothing but the request id.
func statusOf(err error) *statusError {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*host.InvalidError](err); ok {
		return statusOf(invalid(apiName(e.Field), e.Rule))
	}
	if e, ok := errors.AsType[*host.NotFoundError](err); ok {
		return &statusError{http: http.StatusNotFound, code: CodeNotFound, message: e.Error()}
	}
	if e, ok := errors.AsType[*host.ConflictError](err); ok {
		return &statusError{http: http.StatusConflict, code: CodeAborted, message: e.Error()}
	}
	if e, ok := errors.AsType[*host.ForbiddenError](err); ok {
		return &statusError{http: http.StatusForbidden, code: CodePermissionDenied, message: e.Error()}
	}
	retry := http.Header{"Retry-After": {"1"}}
	if e, ok := errors.AsType[*host.QuotaError](err); ok {
		return &statusError{http: http.StatusTooManyRequests, code: CodeExhausted, message: e.Error(), header: retry}
	}
	switch {
	case errors.Is(err, host.ErrUnauthenticated):
		return &statusError{http: http.StatusUnauthorized, code: CodeUnauthenticated, header: Challenge,
			message: "this takes a key; send the header Authorization: Api-Key SECRET"}
	case errors.Is(err, host.ErrStoreUnavailable):
		return &statusError{http: http.StatusServiceUnavailable, code: CodeUnavailable, header: retry,
			message: "the store can't be reached or has no room; try again"}
	case errors.Is(err, host.ErrBusy):
		return &statusError{http: http.StatusTooManyRequests, code: CodeExhausted, header: retry,
			message: "the server has no memory free; try again, or give it more with --max-memory"}
	case errors.Is(err, host.ErrClosed):
		return &statusError{http: http.StatusServiceUnavailable, code: CodeUnavailable, header: retry,
			message: "the server is shutting down; try again"}
	case errors.Is(err, context.Canceled):
		return &statusError{http: 499, code: 1, message: "the caller went away"}
	}
	return &statusError{http: http.StatusInternalServerError, code: CodeInternal, message: "internal error; the server's log has more"}
}

// ours says if an error is to be logged.
func (e *statusError) ours() bool { return e.code == CodeInternal }

// body returns the answer's body.
func (e *statusError) body(requestID string) *Status {
	s := &Status{Code: e.code, Message: e.message, Details: []Detail{}}
	if len(e.violations) > 0 {
		s.Details = append(s.Details, Detail{Type: typePrefix + "google.rpc.BadRequest", FieldViolations: e.violations})
	}
	if requestID != "" {
		s.Details = append(s.Details, Detail{Type: typePrefix + "google.rpc.RequestInfo", RequestID: requestID})
	}
	return s
}

// typePrefix precedes a message's name in @type.
const typePrefix = "type.googleapis.com/"

// ErrorOf returns the error that an answer tells of, nil when it is none. It is
// for clients.
func ErrorOf(status int, body []byte) error {
	if status < http.StatusBadRequest {
		return nil
	}
	var s Status
	if json.Unmarshal(body, &s) != nil || s.Message == "" {
		s.Message = "the server answered with status " + strconv.Itoa(status) + "; is it Vivarium?"
	}
	return &s
}
