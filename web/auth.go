package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// open reports whether no keys are required.
func (s *Server) open() bool {
	return s.config.Keys == nil || !s.config.RequireKeys && !s.config.Keys.Exist()
}

// admit authenticates the caller once, before anything else of the request is
// inspected, and stores the principal in the request's context. What it may do is
// decided by the host, which gets the principal with every operation.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		call := callOf(c)
		open := s.open()
		// The playground takes no key, even where keys are required.
		if s.config.GuardHost && (open || isPlay(r.URL.Path)) && !s.isHere(r) {
			return &callerError{http.StatusMisdirectedRequest, "Misdirected Request: this server does not answer for the host " +
				"name of this request, since a page that a browser shows could have made it up; to allow the name, start the " +
				"server with --allow-host NAME", clientError}
		}
		if open {
			call.principal = access.Operator
		} else if shown := r.Header["Authorization"]; len(shown) > 0 {
			p, err := s.authenticate(shown)
			if fault.Of(err) == fault.Unavailable {
				return err
			}
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
	return s.config.Keys.Authenticate(secret)
}

// find returns the version that a call is for, if the caller may call it.
func (s *Server) find(call *call, tag string) (*catalog.Version, error) {
	if call.foreign {
		// Even for public functions: functions never see the header, so a
		// caller who sends one that is not a key mistakes it for something
		// else.
		return nil, &callerError{http.StatusForbidden, "Forbidden: Not authorized", clientError}
	}
	return s.functions.Resolve(call.principal, call.function, tag)
}

// operatorsOnly protects what concerns all tenants.
func (s *Server) operatorsOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := callOf(c).principal.Allow("Tenants"); err != nil {
			return err
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
