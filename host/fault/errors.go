// Package fault has the errors that the host returns to its callers. Each has a
// Kind, assigned where the error is created, which tells whose fault it is: the
// HTTP status, the log line, the metric and the fate of a queued call are
// tables over it.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Kind tells whose fault an error is, and what can be done about it. Stores keep its number:
// new ones come last.
type Kind int

// The kinds.
const (
	// Internal is the platform's own fault, and the kind of every error from
	// outside of this package. Its text is for the operator.
	Internal Kind = iota

	Invalid         // the request breaks a rule
	NotFound        // no such thing within the caller's reach
	Conflict        // not allowed by the state of what the request is about
	Unauthenticated // the caller is unknown, but must be known
	Forbidden       // the caller is known, but lacks permission
	OverQuota       // the tenant has used up a quota
	Busy            // every instance is occupied
	Exhausted       // the machine is out of memory or disk
	Cancelled       // the caller left before the response
	Closed          // the host is shutting down
	Unavailable     // the store failed
	Function        // the user's code failed
	Timeout         // the user's code exceeded its time limit
	Preparing       // what the function runs on is not compiled yet
)

// Error is an error that has a kind.
type Error interface {
	error
	Kind() Kind
}

// As returns the outermost error in err's chain that has a kind. Its text is
// for whoever that kind blames; the text wrapped around it is for the operator.
func As(err error) (e Error, ok bool) { return errors.AsType[Error](err) }

// Of returns the kind of the error that As finds, or Internal. An error whose context
// has ended is Cancelled: the caller did not wait. Deadlines of the host's own are
// wrapped in errors that have a kind.
func Of(err error) Kind {
	if errors.Is(err, context.Canceled) {
		return Cancelled
	}
	if e, ok := As(err); ok {
		return e.Kind()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Cancelled
	}
	return Internal
}

// Passing reports whether an error of this kind may go away by itself, with
// neither the request nor the function to blame.
func (k Kind) Passing() bool {
	switch k {
	case OverQuota, Busy, Exhausted, Cancelled, Closed, Unavailable, Preparing:
		return true
	}
	return false
}

// NoRoom reports whether something was refused because there was no room for it.
func (k Kind) NoRoom() bool { return k == OverQuota || k == Exhausted }

// sentinel is an error without data other than its kind.
type sentinel struct {
	kind Kind
	text string
}

func (e *sentinel) Error() string { return e.text }

// Kind returns the error's kind.
func (e *sentinel) Kind() Kind { return e.kind }

// Errors without data.
var (
	ErrUnauthenticated error = &sentinel{Unauthenticated, "a key is needed"}
	// ErrBusy means that every instance the function may have is occupied, and
	// that the call did not get its turn in time, or could not.
	ErrBusy      error = &sentinel{Busy, "every instance is busy"}
	ErrExhausted error = &sentinel{Exhausted, "the machine is out of memory"}
	ErrCancelled error = &sentinel{Cancelled, "the caller went away"}
	ErrClosed    error = &sentinel{Closed, "the host is shutting down"}
	// ErrUnavailable means that the store did not do, or did not confirm, what
	// was asked: the change may have happened. Try again later.
	ErrUnavailable error = &sentinel{Unavailable, "the store is unavailable"}
	// ErrPreparing means that the server has not had a function of this runtime
	// before and is compiling the guest. Try again in some seconds.
	ErrPreparing error = &sentinel{Preparing, "the runtime is being compiled, as nothing has used it before; try again in some seconds"}
)

// InvalidError tells which field of a request breaks which rule.
type InvalidError struct {
	Field string
	Rule  string // what must hold, and what to do
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Rule }

// Kind returns Invalid.
func (e *InvalidError) Kind() Kind { return Invalid }

// Invalidf returns an *InvalidError.
func Invalidf(field, format string, args ...any) error {
	return &InvalidError{Field: field, Rule: fmt.Sprintf(format, args...)}
}

// NotFoundError means that there is no such thing, or that it is out of the
// caller's reach.
type NotFoundError struct {
	Function string
	Version  string // id, if one was requested
	Tag      string // empty if the function or version itself is unknown
	Thing    string // for other things, such as "timer"
	Name     string // of Thing
}

func (e *NotFoundError) Error() string {
	kind, name := "function", e.Function
	switch {
	case e.Thing != "":
		return e.Thing + " " + e.Name + " not found"
	case e.Version != "":
		kind, name = "version", e.Version
	}
	if e.Tag == "" {
		return fmt.Sprintf("%s %s not found", kind, name)
	}
	return fmt.Sprintf("tag %s not found for %s %s", e.Tag, kind, name)
}

// Kind returns NotFound.
func (e *NotFoundError) Kind() Kind { return NotFound }

// ConflictError means that a request is well-formed, but not allowed by the
// state of what it is about.
type ConflictError struct {
	Thing  string // such as "function"
	Name   string // or id
	Reason string // and what to do
}

func (e *ConflictError) Error() string { return e.Thing + " " + e.Name + " " + e.Reason }

// Kind returns Conflict.
func (e *ConflictError) Kind() Kind { return Conflict }

// Conflictf returns a *ConflictError.
func Conflictf(thing, name, format string, args ...any) error {
	return &ConflictError{Thing: thing, Name: name, Reason: fmt.Sprintf(format, args...)}
}

// ForbiddenError tells why a known caller may not do something.
type ForbiddenError struct {
	Reason string // and what to do
}

func (e *ForbiddenError) Error() string { return e.Reason }

// Kind returns Forbidden.
func (e *ForbiddenError) Kind() Kind { return Forbidden }

// FunctionError is a fault of the user's code: it raised an exception, has the
// wrong shape, ran too long, or used too much (contract §4).
type FunctionError struct {
	Type       string
	Message    string
	StackTrace []string // one string per frame, outermost first; may be empty
	TimedOut   bool     // the execution timeout passed: 504 instead of 502

	// Document is the response as the guest's runtime wrote it; nil for faults
	// that the host itself detected.
	Document []byte
}

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// Kind returns Function or Timeout.
func (e *FunctionError) Kind() Kind {
	if e.TimedOut {
		return Timeout
	}
	return Function
}

// Body returns the response for the caller: errorMessage, errorType and, if
// there is one, stackTrace, in this order.
func (e *FunctionError) Body() []byte {
	if e.Document != nil {
		return e.Document
	}
	b, err := json.Marshal(struct {
		Message    string   `json:"errorMessage"`
		Type       string   `json:"errorType"`
		StackTrace []string `json:"stackTrace,omitempty"`
	}{e.Message, e.Type, e.StackTrace})
	if err != nil { // strings and slices of strings always marshal
		panic(err)
	}
	return b
}
