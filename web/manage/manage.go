// Package manage has what the two faces of the management API share: REST (package
// api) and gRPC (package grpcapi). Both call the same methods of the host with the
// caller's principal; here is what either would otherwise have of its own, and what
// callers of one may ask the other for.
//
//   - Operations: the last changes. One made over REST can be looked up over gRPC, and at
//     each server of the store.
//   - Uploads: places for archives in memory; a tenant has one, whichever way it comes.
//   - Turn: the processor, while the server works on what a request or an answer has.
//   - Held: what a request makes the server hold, counted against its tenant.
//   - Page: the part of a list that a request asks for.
package manage

import (
	"log/slog"
	"net/http"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
)

// Desk is the state that both faces of one server share. Safe for concurrent use.
type Desk struct {
	Operations *Operations
	Uploads    *Uploads
	working    line
	host       *host.Host
}

// New returns the desk of a host, whose ledger counts what requests hold.
func New(h *host.Host) *Desk {
	return &Desk{
		Uploads: newUploads(), host: h,
		Operations: &Operations{kept: h.Operations, log: slog.Default(), patience: drainPatience},
	}
}

// Turn waits until the server works on nothing else of who sends a request: decoding
// megabytes takes as long as many calls, and who sends a hundred such requests at once
// would leave the processors to them alone. The caller ends it with the function that it
// returns, before anything that blocks.
//
// # Errors
//
// fault.ErrCancelled.
func (d *Desk) Turn(r *http.Request) (done func(), err error) {
	done, err = d.working.enter(r.Context(), Uploader(r.RemoteAddr, access.PrincipalOf(r.Context())))
	if err != nil {
		return nil, fault.ErrCancelled
	}
	return done, nil
}

// Policy is the response of an operation that sets a scaling policy.
type Policy struct {
	FunctionID string
	catalog.ScalingPolicy
}

// smallRequest is the size up to which requests and answers are not counted, in bytes:
// there are few at once, and who has used up a quota must be able to delete things.
const smallRequest = 64 << 10

// Held is what a request makes the server hold, counted against its caller's tenant.
// It belongs to one goroutine at a time.
type Held struct {
	ledger *quota.Ledger
	tenant string
	few    int // bytes that are not counted
	gives  []func()
}

// Hold returns what counts for a principal; the caller releases it.
func (d *Desk) Hold(p access.Principal) *Held {
	return &Held{ledger: d.host.Ledger(), tenant: p.Home()}
}

// Reserve counts n more bytes.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func (h *Held) Reserve(n int) error {
	if h.few+n <= smallRequest {
		h.few += n
		return nil
	}
	give, err := h.ledger.Reserve(h.tenant, quota.Body, int64(n))
	if err == nil {
		h.gives = append(h.gives, give)
	}
	return err
}

// Release gives all of it back.
func (h *Held) Release() {
	for _, give := range h.gives {
		give()
	}
	h.gives = nil
}
