package cluster

import (
	"context"
	"errors"
	"time"

	"vivarium/host/fault"
	"vivarium/host/store"
)

// command is a notice that tells a node what to do.
type command struct {
	For      string `json:"for,omitempty"` // the node's address
	Draining bool   `json:"draining"`
}

// errDeaf means that a node has not done what it was told.
var errDeaf = errors.New("the node has not answered; is it there?")

// Drain makes a node a home of no function, so that other nodes take its calls and it can be
// stopped; or, with draining false, of its share again. A node that starts anew does not drain.
// It blocks until the node says that it is so.
//
// # Errors
//
// *fault.NotFoundError when there is no such node, store.ErrUnavailable when it does not do it
// before ctx ends.
func (c *Cluster) Drain(ctx context.Context, address string, draining bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; {
		peer := c.known(address)
		if peer == nil {
			return &fault.NotFoundError{Thing: "node", Name: address}
		}
		if peer.current().Draining == draining {
			return nil
		}
		if !told {
			if err := c.cfg.Notices.Tell(store.Record(command{For: address, Draining: draining})); err != nil {
				return err
			}
			told = true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(store.ErrUnavailable, errDeaf)
		}
	}
}
