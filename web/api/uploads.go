package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"vivarium/host/access"
)

const (
	// maxUploads is how many archives are received at once. Each may take three
	// times its size in memory.
	maxUploads = 4
	// uploadWait is how long an upload waits for its place.
	uploadWait = 30 * time.Second
)

// uploads has the places for archives in memory. Nobody has more than one of
// them, so that a slow one holds up nobody else. Safe for concurrent use.
type uploads struct {
	all chan struct{}

	mu   sync.Mutex // guards each
	each map[string]*uploaderPlace
}

// uploaderPlace is the place of one uploader.
type uploaderPlace struct {
	taken chan struct{} // of capacity 1
	users int           // who have it or wait for it
}

func newUploads() *uploads {
	return &uploads{all: make(chan struct{}, maxUploads), each: map[string]*uploaderPlace{}}
}

// reserve waits for a place. The caller calls the function it returns when the
// upload is over.
//
// # Errors
//
// A *statusError when it takes too long; ctx's.
func (u *uploads) reserve(ctx context.Context, who string) (give func(), err error) {
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
	ctx, cancel := context.WithTimeoutCause(ctx, uploadWait, &statusError{
		http: http.StatusTooManyRequests, code: CodeExhausted, header: http.Header{"Retry-After": {"1"}},
		message: "too many uploads are in progress; try again when yours are done",
	})
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

// uploader returns who sends a request, as far as uploads are concerned: a
// tenant, or who acts for all of them from one address.
func uploader(r *http.Request, p access.Principal) string {
	if p.Tenant != access.AllTenants {
		return p.Tenant
	}
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return client
}
