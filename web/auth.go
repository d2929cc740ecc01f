package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/fault"
)

// Access is what the server needs of the host to authorize callers. *host.Host
// implements it.
type Access interface {
	// Keys returns the keys that callers may use.
	Keys() *host.Keys
	// Callable returns the id of the function with an id or name, if p may call
	// it; see host.Host.Callable.
	Callable(p access.Principal, function string) (id string, err error)
}

// open reports whether no keys are required.
func (s *Server) open() bool {
	return s.config.Access == nil || !s.config.RequireKeys && !s.config.Access.Keys().Exist()
}

// admit authenticates the caller once, before anything else of the request is
// inspected, and stores the principal in the request's context. What it may do
// is decided later: for calls in invoke, for the management API in its table of
// routes.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		call := callOf(c)
		call.open = s.open()
		// The playground takes no key, even where keys are required.
		if s.config.GuardHost && (call.open || isPlay(r.URL.Path)) && !s.isHere(r) {
			return &callerError{http.StatusMisdirectedRequest, "Misdirected Request: this server does not answer for the host " +
				"name of this request, since a page that a browser shows could have made it up; to allow the name, start the " +
				"server with --allow-host NAME", clientError}
		}
		if call.open {
			call.principal = access.Operator
		} else if shown := r.Header["Authorization"]; len(shown) > 0 {
			p, err := s.authenticate(shown)
			call.principal, call.foreign = p, err != nil
		}
		c.SetRequest(r.WithContext(access.WithPrincipal(r.Context(), call.principal)))
		return next(c)
	}
}

// authenticate returns the principal that Authorization headers identify:
// exactly one, of the form Api-Key SECRET or Bearer SECRET.
func (s *Server) authenticate(shown []string) (access.Principal, error) {
	scheme, secret, _ := strings.Cut(shown[0], " ")
	if len(shown) != 1 || !strings.EqualFold(scheme, "Api-Key") && !strings.EqualFold(scheme, "Bearer") {
		return access.Principal{}, fault.ErrUnauthenticated
	}
	return s.config.Access.Keys().Authenticate(secret)
}

// callable returns the function that a call is for, by the name that the host
// knows it under, if the caller may call it.
func (s *Server) callable(call *call) (function string, err error) {
	switch {
	case call.open:
		return call.function, nil
	case call.foreign:
		// Even for public functions: functions never see the header, so a
		// caller who sends one that is not a key mistakes it for something
		// else.
		return "", &callerError{http.StatusForbidden, "Forbidden: Not authorized", clientError}
	}
	return s.config.Access.Callable(call.principal, call.function)
}

// operatorsOnly protects what concerns all tenants.
func (s *Server) operatorsOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch p := callOf(c).principal; {
		case p.Anonymous():
			return fault.ErrUnauthenticated
		case p.Tenant != access.AllTenants || !p.Role.Includes(access.RoleAdmin):
			return &fault.ForbiddenError{Reason: "this requires a key of all tenants with the role admin"}
		}
		return next(c)
	}
}

// isHere reports whether no page from elsewhere could have a request's Host
// header: a browser sends the name in the page's address, and DNS may resolve
// any name to this machine. No browser speaks HTTP/1.0, which has no such
// header.
func (s *Server) isHere(r *http.Request) bool {
	if r.Host == "" {
		return !r.ProtoAtLeast(1, 1)
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(s.config.AllowHosts, func(allowed string) bool { return strings.EqualFold(allowed, name) })
}
