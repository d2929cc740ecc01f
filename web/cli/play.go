package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"vivarium/host"
	"vivarium/web"
)

// playFlags has the flags for who may run snippets.
type playFlags struct {
	Playground  *bool    `negatable:"" help:"Let whoever reaches the server run snippets of their own, below /play/v1. Default: only if the server listens on this machine alone."`
	PlayOrigins []string `name:"play-origin" placeholder:"ORIGIN" help:"Let pages of this origin, such as https://docs.example.com, run snippets; may be given more than once. * means all."`

	PlayAllowNet netRules `placeholder:"RULES" help:"What snippets may reach, within --allow-net, if they ask for it. Default: nothing."`
}

// playground returns the handler that runs snippets for those who reach the
// address; nil if none may be run.
func (f *playFlags) playground(address net.Addr, h *host.Host) (http.Handler, error) {
	on := f.on(address)
	switch {
	case !on && len(f.PlayOrigins) > 0:
		return nil, errors.New("--play-origin: the playground is off; add --playground")
	case !on:
		return nil, nil
	}
	play, err := web.NewPlay(web.PlayConfig{Origins: f.PlayOrigins, AllowNet: string(f.PlayAllowNet)}, h.Runner())
	if err != nil {
		return nil, fmt.Errorf("--play-origin: %w", err)
	}
	h.Runner().PrepareTries()
	return play, nil
}

// on reports whether snippets are run for those who reach the address: by the
// flag, or else if they are on this machine.
func (f *playFlags) on(address net.Addr) bool {
	if f.Playground != nil {
		return *f.Playground
	}
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
