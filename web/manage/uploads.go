package manage

import (
	"context"
	"net"
	"sync"
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
	all chan struct{}

	mu   sync.Mutex // guards each
	each map[string]*uploaderPlace
}

// uploaderPlace is the place of one uploader.
type uploaderPlace struct {
	taken chan struct{} // of capacity 1
	users int           // who have it or wait for it
}

func newUploads() *Uploads {
	return &Uploads{all: make(chan struct{}, maxUploads), each: map[string]*uploaderPlace{}}
}

// Reserve waits for a place. The caller calls the function it returns when the
// upload is over.
//
// # Errors
//
// One of the kind fault.OverQuota when it takes too long; ctx's.
func (u *Uploads) Reserve(ctx context.Context, who string) (give func(), err error) {
	u.mu.Lock()
	place := u.each[who]
	if place == nil {
		place = &uploaderPlace{taken: make(chan struct{}, 1)}
		u.each[who] = place
	}
	place.users++
	u.mu.Unlock()
	leave := func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if place.users--; place.users == 0 {
			delete(u.each, who)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, uploadWait, errUploads)
	defer cancel()
	for n, c := range []chan struct{}{place.taken, u.all} {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-place.taken
			}
			leave()
			return nil, context.Cause(ctx)
		}
	}
	return func() {
		<-u.all
		<-place.taken
		leave()
	}, nil
}

// Uploader returns who sends a request, as far as uploads are concerned: a
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
