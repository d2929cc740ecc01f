package manage

import (
	"context"
	"net"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
)

const (
	// maxUploads is how many archives are received at once. Each may take three
	// times its size in memory.
	maxUploads = 4
	// uploadWait is how long an upload waits for its place.
	uploadWait = 30 * time.Second
)

// Uploads has the places for archives in memory. Nobody has more than one of
// them, so that a slow one holds up nobody else. Safe for concurrent use.
type Uploads struct {
	each line
	all  chan struct{}
}

func newUploads() *Uploads { return &Uploads{all: make(chan struct{}, maxUploads)} }

// Reserve waits for a place. The caller calls the function it returns when the
// upload is over.
//
// # Errors
//
// One of the kind fault.OverQuota when it takes too long; ctx's.
func (u *Uploads) Reserve(ctx context.Context, who string) (give func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, uploadWait, errUploads)
	defer cancel()
	leave, err := u.each.enter(ctx, who)
	if err != nil {
		return nil, err
	}
	select {
	case u.all <- struct{}{}:
		return func() {
			<-u.all
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// Uploader returns who sends a request, as far as uploads and turns are concerned: a
// tenant, or who acts for all of them from one address.
func Uploader(remoteAddress string, p access.Principal) string {
	if p.Tenant != access.AllTenants {
		return p.Tenant
	}
	client, _, err := net.SplitHostPort(remoteAddress)
	if err != nil {
		return remoteAddress
	}
	return client
}

// uploadsError means that an upload found no place in time.
type uploadsError struct{}

var errUploads uploadsError

// Error implements error.
func (uploadsError) Error() string {
	return "too many uploads are in progress; try again when yours are done"
}

// Kind returns fault.OverQuota.
func (uploadsError) Kind() fault.Kind { return fault.OverQuota }
