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
)

// NotFoundError says that no such function exists, or that no version of it
// carries the tag.
type NotFoundError struct {
	Function string
	Tag      string // empty when the function itself is unknown
}

func (e *NotFoundError) Error() string {
	if e.Tag == "" {
		return fmt.Sprintf("function %s not found", e.Function)
	}
	return fmt.Sprintf("tag %s not found for function %s", e.Tag, e.Function)
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
