package web

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

// headerRevision is by which callers of several servers read what they have written: responses
// of the management API have it, and who sends it with a request is served by a server that
// knows what the other one knew.
const headerRevision = "Vivarium-Revision"

// Revisions are what servers that share a store know of its changes. *store.Store
// implements it.
type Revisions interface {
	// Revision returns what is known here; empty if nobody else uses the store.
	Revision() string
	// FunctionsRevision returns what is known here of functions.
	FunctionsRevision() string
	// Await waits until what was known elsewhere is known here, or until ctx ends.
	Await(ctx context.Context, revision string) error
}

const (
	// revisionTime is how long a request waits for what its sender knows.
	revisionTime = 2 * time.Second
	// nodeRevisionTime is how long a call that another node has sent waits: that node knows
	// the function and can take it itself.
	nodeRevisionTime = acceptTime / 5
)

// current lets a request wait until the server knows what the request's sender knows, before
// its key is looked at: that may be what is new.
func (s *Server) current(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if sent := r.Header[headerRevision]; len(sent) > 0 {
			if err := s.await(r.Context(), sent[len(sent)-1], revisionTime); err != nil {
				return err
			}
		}
		if s.isManaged(r.URL.Path) || isRPC(r) {
			c.Response().Before(func() {
				if revision := s.config.Revisions.Revision(); revision != "" {
					c.Response().Header().Set(headerRevision, revision)
				}
			})
		}
		return next(c)
	}
}

// await waits for a revision.
//
// # Errors
//
// *store.BehindError, *fault.InvalidError.
func (s *Server) await(ctx context.Context, revision string, patience time.Duration) error {
	if revision == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.config.Revisions.Await(ctx, revision)
}

// noRevisions are those of a server whose store nobody else uses.
type noRevisions struct{}

func (noRevisions) Revision() string                    { return "" }
func (noRevisions) FunctionsRevision() string           { return "" }
func (noRevisions) Await(context.Context, string) error { return nil }
