package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"vivarium/host"
	"vivarium/web"
)

// playFlags say who may run snippets.
type playFlags struct {
	Playground  *bool    `negatable:"" help:"Let whoever reaches the server run snippets of their own, below /play/v1. Default: only where the server listens on this machine alone."`
	PlayOrigins []string `name:"play-origin" placeholder:"ORIGIN" help:"Let pages of this origin, such as https://docs.example.com, run snippets; may be given more than once. * means all."`
}

// playground returns what serves snippets to those who reach the address; nil
// when nobody may have any run.
func (f *playFlags) playground(address net.Addr, h *host.Host) (http.Handler, error) {
	on := f.on(address)
	switch {
	case !on && len(f.PlayOrigins) > 0:
		return nil, errors.New("--play-origin: the playground is off; add --playground")
	case !on:
		return nil, nil
	}
	play, err := web.NewPlay(web.PlayConfig{Origins: f.PlayOrigins}, h)
	if err != nil {
		return nil, fmt.Errorf("--play-origin: %w", err)
	}
	h.PrepareTries()
	return play, nil
}

// on says if snippets are run for those who reach the address: as the flag says,
// else when that is nobody but this machine.
func (f *playFlags) on(address net.Addr) bool {
	if f.Playground != nil {
		return *f.Playground
	}
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
