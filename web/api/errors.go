package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"vivarium/host/fault"
)

// Code is a google.rpc.Code, by which the cloud's API tells errors apart.
type Code int

// The codes that this API uses.
const (
	CodeCancelled        Code = 1
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

// Detail is one of a Status's details: a google.rpc.BadRequest, DebugInfo or
// RequestInfo.
type Detail struct {
	Type            string           `json:"@type"`
	FieldViolations []FieldViolation `json:"fieldViolations,omitempty"`
	StackEntries    []string         `json:"stackEntries,omitempty" doc:"Of code that does not load: its traceback, outermost frame first."`
	Detail          string           `json:"detail,omitempty" doc:"Of code that does not load: the exception."`
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
	broken     *fault.FunctionError // why the function's code does not load; nil when it is not about that
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
	if e, ok := errors.AsType[*fault.InvalidError](err); ok {
		return statusOf(invalid(apiName(e.Field), e.Rule))
	}
	if e, ok := errors.AsType[*fault.FunctionError](err); ok {
		return unloadable(e)
	}
	kind := fault.Of(err)
	row, ok := codes[kind]
	if !ok {
		row = codes[fault.Internal]
	}
	e := &statusError{http: row.http, code: row.code, message: row.message}
	if told, ok := fault.As(err); ok && e.message == "" {
		e.message = told.Error()
	}
	switch {
	case kind == fault.Unauthenticated:
		e.header = Challenge
	case kind.Passing() && kind != fault.Cancelled:
		e.header = http.Header{"Retry-After": {"1"}}
	}
	return e
}

// StatusOf returns the answer to an error, and whether it is our own fault, which is to be
// logged. The request id, which may be empty, is among its details.
func StatusOf(err error, requestID string) (s *Status, ours bool) {
	e := statusOf(err)
	return e.body(requestID), e.ours()
}

// unloadable is the answer about code that does not load. No other request here runs
// any.
func unloadable(fe *fault.FunctionError) *statusError {
	field := "content"
	if fe.Type == "HandlerNotFound" {
		field = "entrypoint"
	}
	missing := ""
	if fe.Type == "ModuleNotFoundError" {
		missing = "; the server installs no packages: put them into the archive, as vivarium deploy does with those of a requirements.txt"
	}
	e := statusOf(invalid(field, "the code does not load: "+fe.Error()+missing+"; mend it, or have it all the same with allowBroken (--allow-broken)"))
	e.broken = fe
	return e
}

// codes is the table of kinds. The text of an error is told where there is none here.
var codes = map[fault.Kind]struct {
	http    int
	code    Code
	message string
}{
	fault.Internal:        {http.StatusInternalServerError, CodeInternal, "internal error; the server's log has more"},
	fault.Unauthenticated: {http.StatusUnauthorized, CodeUnauthenticated, "this takes a key; send the header Authorization: Api-Key SECRET"},
	fault.Forbidden:       {http.StatusForbidden, CodePermissionDenied, ""},
	fault.NotFound:        {http.StatusNotFound, CodeNotFound, ""},
	fault.Conflict:        {http.StatusConflict, CodeAborted, ""},
	fault.OverQuota:       {http.StatusTooManyRequests, CodeExhausted, ""},
	fault.Busy:            {http.StatusTooManyRequests, CodeExhausted, "every instance is busy; try again"},
	fault.Exhausted: {http.StatusTooManyRequests, CodeExhausted,
		"the server has no memory free; try again, or give it more with --max-memory"},
	fault.Cancelled:   {499, CodeCancelled, "the caller went away"},
	fault.Closed:      {http.StatusServiceUnavailable, CodeUnavailable, "the server is shutting down; try again"},
	fault.Unavailable: {http.StatusServiceUnavailable, CodeUnavailable, "the store can't be reached or has no room; try again"},
	fault.Preparing:   {http.StatusServiceUnavailable, CodeUnavailable, ""},
}

// ours reports whether an error is to be logged.
func (e *statusError) ours() bool { return e.code == CodeInternal }

// body returns the answer's body.
func (e *statusError) body(requestID string) *Status {
	s := &Status{Code: e.code, Message: e.message, Details: []Detail{}}
	if len(e.violations) > 0 {
		s.Details = append(s.Details, Detail{Type: typePrefix + "google.rpc.BadRequest", FieldViolations: e.violations})
	}
	if e.broken != nil {
		s.Details = append(s.Details, Detail{
			Type: typePrefix + "google.rpc.DebugInfo", StackEntries: e.broken.StackTrace, Detail: e.broken.Error(),
		})
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
