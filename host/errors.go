package host

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Errors that Invoke returns for callers to branch on. Neither is the
// function's fault.
var (
	// ErrBusy says that every instance the function may have is occupied and
	// that the call could not, or would not in time, get its turn.
	ErrBusy = errors.New("host: every instance is busy")
	// ErrCancelled says that the caller went away before the answer.
	ErrCancelled = errors.New("host: the caller went away")
	// ErrClosed says that the host is shutting down.
	ErrClosed = errors.New("host: closed")
	// ErrStoreUnavailable says that the store did not do what was asked, or did
	// not say that it had: try again later.
	ErrStoreUnavailable = errors.New("host: the store is unavailable")
)

// NotFoundError says that no such function or version exists, or that the tag
// is not there.
type NotFoundError struct {
	Function string
	Version  string // id, where one was asked for
	Tag      string // empty when the function or version itself is unknown
	Kind     string // of other things, such as "timer"
	Name     string // of that thing
}

func (e *NotFoundError) Error() string {
	kind, name := "function", e.Function
	switch {
	case e.Kind != "":
		return e.Kind + " " + e.Name + " not found"
	case e.Version != "":
		kind, name = "version", e.Version
	}
	if e.Tag == "" {
		return fmt.Sprintf("%s %s not found", kind, name)
	}
	return fmt.Sprintf("tag %s not found for %s %s", e.Tag, kind, name)
}

// ConflictError says that a request is well-formed but that the state of what
// it is about does not allow it.
type ConflictError struct {
	Kind   string // such as "function"
	Name   string // or id
	Reason string // and what to do
}

func (e *ConflictError) Error() string { return e.Kind + " " + e.Name + " " + e.Reason }

func conflict(kind, name, format string, args ...any) error {
	return &ConflictError{Kind: kind, Name: name, Reason: fmt.Sprintf(format, args...)}
}

// FunctionError is a fault of the user's code: it raised, it has the wrong
// shape, it ran too long, it used too much (contract §4).
type FunctionError struct {
	Type       string
	Message    string
	StackTrace []string // one string a frame, outermost first; may be empty
	Timeout    bool     // the execution timeout passed: 504 instead of 502

	// document is the answer as the guest's runtime wrote it; nil for faults
	// that the host itself noticed.
	document []byte
}

func (e *FunctionError) Error() string {
	return e.Type + ": " + e.Message
}

// Body returns the answer for the caller: errorMessage, errorType and, where
// there is one, stackTrace, in this order.
func (e *FunctionError) Body() []byte {
	if e.document != nil {
		return e.document
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
