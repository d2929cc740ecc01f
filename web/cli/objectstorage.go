package cli

import (
	"context"
	"fmt"
	"net"

	"vivarium/host/egress"
	"vivarium/web/objects"
)

// objectStorageFlag has the flag for where versions' packages may come from.
type objectStorageFlag struct {
	ObjectStorage string `placeholder:"URL" help:"Endpoint of an S3 storage from which versions may take their package, such as https://storage.yandexcloud.net. A tenant's secret object-storage has the key for it."`
}

// packageSource is the object storage of a server that gives up the right to connect. Nil is
// none.
type packageSource struct {
	*objects.Storage
	rules  []string // that allow its addresses
	dialer egress.Dialer
}

// objectStorage returns the storage that the flag names; nil for none.
func (f objectStorageFlag) objectStorage(ctx context.Context) (*packageSource, error) {
	if f.ObjectStorage == "" {
		return nil, nil
	}
	p := &packageSource{}
	var err error
	if p.Storage, err = objects.New(f.ObjectStorage, p.dial); err == nil {
		p.rules, err = rulesFor(ctx, f.ObjectStorage)
	}
	if err != nil {
		return nil, fmt.Errorf("--object-storage: %w", err)
	}
	return p, nil
}

// by names what connects; nil means that the process does.
func (p *packageSource) by(dialer egress.Dialer) {
	if p != nil {
		p.dialer = dialer
	}
}

func (p *packageSource) reach() []string {
	if p == nil {
		return nil
	}
	return p.rules
}

func (p *packageSource) storage() *objects.Storage {
	if p == nil {
		return nil
	}
	return p.Storage
}

func (p *packageSource) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.dialer == nil {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return dialing{p.dialer}.dial(ctx, network, address)
}
