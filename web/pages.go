package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"vivarium/web/mcp"
)

// consolePath is the path of Config.Console.
const consolePath = "/console"

// isPlay reports whether Config.Play serves a path.
func isPlay(path string) bool { return path == PlayPath || strings.HasPrefix(path, PlayPath+"/") }

// playTenant is whose bodies those of the playground are. No tenant can have the name.
const playTenant = "$playground"

// play serves Config.Play, which finds in the request's context what counts its bodies.
func (s *Server) play(c echo.Context) error {
	held := &held{of: s.bodies, tenant: playTenant}
	defer held.release()
	r := c.Request()
	s.config.Play.ServeHTTP(c.Response(), r.WithContext(context.WithValue(r.Context(), heldKey{}, held)))
	return nil
}

// mountPages mounts Config.Play, Config.Tools and Config.Console.
func (s *Server) mountPages() {
	if s.config.Tools != nil {
		s.echo.Any(mcp.Path, echo.WrapHandler(s.config.Tools(s)))
	}
	play := func(echo.Context) error {
		return &callerError{http.StatusNotFound, "Not Found: This server has no playground", clientError}
	}
	if s.config.Play != nil {
		play = s.play
	}
	s.echo.Any(PlayPath, play)
	s.echo.Any(PlayPath+"/*", play)
	if s.config.Console == nil {
		return
	}
	console := echo.WrapHandler(s.config.Console)
	s.echo.Any(consolePath, console)
	s.echo.Any(consolePath+"/*", console)
	s.echo.GET("/", func(c echo.Context) error {
		if !strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
			return s.invoke(c)
		}
		return c.Redirect(http.StatusFound, consolePath+"/")
	})
}
