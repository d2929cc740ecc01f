package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"vivarium/host/access"
	"vivarium/host/keys"
	"vivarium/host/store"
	"vivarium/web/api"
)

// keyCommands implements `vivarium key ...`.
type keyCommands struct {
	Create keyCreate `cmd:"" help:"Create a key and print its secret, once."`
	List   keyList   `cmd:"" help:"List keys, without their secrets, which are not stored."`
	Delete keyDelete `cmd:"" help:"Delete a key, which is then refused."`
}

// keyring is where keys are: on a server, or in a store that no server uses at
// the moment.
type keyring struct {
	Data string `placeholder:"DIR" xor:"store" help:"The keys of this data folder, while no server uses it."`
	NATS string `name:"nats" placeholder:"URL" xor:"store" help:"The keys that are kept in these NATS servers."`
	natsFlags
	connection
}

// use calls stored with the keys of the store that the flags name, or remote
// with the server if they name none.
func (k *keyring) use(ctx context.Context, stored func(*keys.Ring) error, remote func(*serverClient) error) error {
	config := storeIn(k.Data)
	if k.NATS != "" {
		config = k.storeAt(k.NATS)
	}
	config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if config.Dir == "" && config.URL == "" {
		client, err := k.connect()
		if err != nil {
			return err
		}
		return remote(client)
	}
	s, err := store.Open(ctx, config)
	if _, ok := errors.AsType[*store.LockedError](err); ok {
		return fmt.Errorf("%w; or leave --data out and ask that server, with --server and --api-key", err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	ring, err := keys.Open(ctx, s, nil) // it issues no tokens
	if err != nil {
		return err
	}
	defer ring.Close()
	return stored(ring)
}

type keyCreate struct {
	Tenant      string `placeholder:"TENANT" help:"The key's tenant; * for all tenants. Default: the tenant of the key in use, or *."`
	Role        string `placeholder:"ROLE" help:"invoker calls functions; deployer also manages them; admin also manages keys. Default for the first key: admin."`
	Description string `placeholder:"TEXT" help:"What the key is for."`
	SigningKey  string `name:"service-account-key" placeholder:"FILE" help:"Make a key for the cloud's SDKs and tools, which sign with it instead of sending a secret, and write it to this new file."`
	keyring
}

// Help is shown by `vivarium key create --help`.
func (*keyCreate) Help() string {
	return `The secret is printed alone on standard output. Send it as "Authorization: Api-Key SECRET", or give it to these
commands as --api-key or VIVARIUM_API_KEY. As soon as there is a key, a server asks for keys. The first one is of
all tenants and has the role admin.

Examples:
  export VIVARIUM_API_KEY=$(vivarium key create --data ./data)
  vivarium key create --tenant acme --role deployer --description "acme's builds"`
}

// Run implements the command.
func (c *keyCreate) Run(ctx context.Context, s *session) error {
	var made api.CreateKeyResponse
	pair, err := c.pair()
	if err != nil {
		return err
	}
	err = c.use(ctx, func(ring *keys.Ring) error {
		if err := ring.Damage(); err != nil {
			fmt.Fprintln(s.stderr, "vivarium: some keys can't be read:", err)
		}
		k, secret, err := ring.Create(ctx, access.Operator, keys.Spec{
			Tenant: c.Tenant, Role: access.Role(c.Role), Description: c.Description, PublicKey: pair.public,
		})
		made = api.CreateKeyResponse{Key: api.NewKey(k), Secret: secret}
		return err
	}, func(client *serverClient) error {
		request := api.CreateKeyRequest{Tenant: c.Tenant, Role: c.Role, Description: c.Description, PublicKey: pair.public}
		return client.do(ctx, http.MethodPost, "/keys", request, &made)
	})
	if err != nil {
		pair.drop()
		return err
	}
	if err := pair.write(made.Key); err != nil {
		return fmt.Errorf("%w; delete the key with: vivarium key delete %s", err, made.Key.ID)
	}
	switch {
	case c.JSON:
		return printJSON(s.stdout, made)
	case c.SigningKey != "":
		fmt.Fprintf(s.stderr, "vivarium: key %s of tenant %s with the role %s is in %s\n", made.Key.ID, made.Key.Tenant, made.Key.Role, c.SigningKey)
		return nil
	}
	fmt.Fprintf(s.stderr, "vivarium: key %s of tenant %s with the role %s; this is its secret, which can't be shown again:\n",
		made.Key.ID, made.Key.Tenant, made.Key.Role)
	fmt.Fprintln(s.stdout, made.Secret)
	return nil
}

type keyList struct{ keyring }

// Run implements the command.
func (c *keyList) Run(ctx context.Context, s *session) error {
	listed := []api.Key{}
	err := c.use(ctx, func(k *keys.Ring) error {
		all, err := k.List(access.Operator)
		for _, k := range all {
			listed = append(listed, api.NewKey(k))
		}
		return err
	}, func(client *serverClient) error {
		var answer api.ListKeysResponse
		err := client.get(ctx, "/keys", nil, &answer)
		listed = answer.Keys
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, listed)
	}
	rows := [][]string{}
	for _, k := range listed {
		rows = append(rows, []string{k.ID, k.Tenant, k.Role, timeText(k.CreatedAt), k.Description})
	}
	return printTable(s.stdout, "ID TENANT ROLE CREATED DESCRIPTION", rows)
}

type keyDelete struct {
	ID string `arg:"" help:"Id of the key; vivarium key list shows it."`
	keyring
}

// Run implements the command.
func (c *keyDelete) Run(ctx context.Context, s *session) error {
	err := c.use(ctx, func(k *keys.Ring) error {
		return k.Delete(ctx, access.Operator, c.ID)
	}, func(client *serverClient) error {
		_, err := client.change(ctx, http.MethodDelete, "/keys/"+url.PathEscape(c.ID), nil, nil)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, struct{}{})
	}
	fmt.Fprintf(s.stdout, "deleted key %s\n", c.ID)
	return nil
}
