package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

// Why a call was ended from outside. After any of these the instance is
// unusable: discard it.
var (
	// ErrDeadline means that the call's deadline passed.
	ErrDeadline = errors.New("wasm: deadline passed")
	// ErrCancelled means that the call's context was cancelled.
	ErrCancelled = errors.New("wasm: cancelled")
	// ErrClosed means that the engine or the instance is closed.
	ErrClosed = errors.New("wasm: closed")
	// ErrMemory means that the instance's owner has no memory for its image.
	ErrMemory = errors.New("wasm: no memory")
	// ErrNoResponse means that the guest returned without responding.
	ErrNoResponse = errors.New("wasm: the guest gave no response")
)

// TrapError is a WebAssembly trap, or a host function's refusal to go on.
type TrapError struct {
	Reason string // "unreachable", "out of bounds memory access", …
	Trace  string // the wasm stack, innermost frame first; for the log
}

func (e *TrapError) Error() string { return "wasm: trap: " + e.Reason }

// ExitError means that the guest called proc_exit.
type ExitError struct{ Code uint32 }

func (e *ExitError) Error() string { return fmt.Sprintf("wasm: guest exited with code %d", e.Code) }

// MemoryError means that the guest broke down after it had been denied memory.
type MemoryError struct {
	Limit int64 // bytes
	Owner bool  // InstanceConfig.Reserve denied it, not the limit
	Cause error // what the guest did then: a *TrapError or an *ExitError
}

func (e *MemoryError) Error() string {
	if e.Owner {
		return fmt.Sprintf("wasm: no memory left for the instance's owner: %v", e.Cause)
	}
	return fmt.Sprintf("wasm: memory limit of %d MiB: %v", e.Limit>>20, e.Cause)
}

func (e *MemoryError) Unwrap() error { return e.Cause }

// StatusError means that a guest's export returned a status outside the ABI:
// the runtime inside the guest is broken.
type StatusError struct {
	Export string
	Status int32
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("wasm: %s returned status %d", e.Export, e.Status)
}

// guestError turns what wazero returned into one of this package's errors.
func guestError(err error) error {
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return &ExitError{Code: exit.ExitCode()}
	}
	reason, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	return &TrapError{Reason: strings.TrimPrefix(reason, "wasm error: "), Trace: trace}
}
