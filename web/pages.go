package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"vivarium/web/mcp"
)

// consolePath is the path of Config.Console.
const consolePath = "/console"

// isPlay reports whether Config.Play serves a path.
func isPlay(path string) bool { return path == PlayPath || strings.HasPrefix(path, PlayPath+"/") }

// mountPages mounts Config.Play, Config.Tools and Config.Console.
func (s *Server) mountPages() {
	if s.config.Tools != nil {
		s.echo.Any(mcp.Path, echo.WrapHandler(s.config.Tools(s)))
	}
	play := func(echo.Context) error {
		return &callerError{http.StatusNotFound, "Not Found: This server has no playground", clientError}
	}
	if s.config.Play != nil {
		play = echo.WrapHandler(s.config.Play)
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
