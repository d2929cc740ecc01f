package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"vivarium/host/store"
)

// stored says which store a command is about.
type stored struct {
	Data string `placeholder:"DIR" xor:"store" required:"" help:"This data folder, while no server uses it."`
	NATS string `name:"nats" placeholder:"URL" xor:"store" required:"" help:"These NATS servers, as in nats://HOST:4222."`
	natsFlags
}

func (f stored) config() store.Config {
	config := storeIn(f.Data)
	if f.NATS != "" {
		config = f.storeAt(f.NATS)
	}
	config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	return config
}

type backupCommand struct {
	To string `arg:"" placeholder:"FOLDER" help:"A new folder, or an empty one."`
	stored
}

// Help is shown by `vivarium backup --help`.
func (*backupCommand) Help() string {
	return `A backup has everything that a server keeps: functions, their versions and code, tags, timers, keys, secrets as they
are encrypted, calls that wait, dead letters and logs. A data folder can be backed up while no server uses it, NATS
servers at any time. What belongs to a machine, such as certificates and the key for secrets, is not in it.

Examples:
  vivarium backup --data ./data ./backups/monday
  vivarium backup --nats nats://10.0.0.5:4222 --nats-creds vivarium.creds ./backups/monday`
}

// Run implements the command.
func (c *backupCommand) Run(ctx context.Context, s *session) error {
	b, err := store.BackUp(ctx, c.config(), c.To)
	if _, ok := errors.AsType[*store.LockedError](err); ok {
		return fmt.Errorf("%w; stop the server for a backup of its data folder", err)
	}
	if err != nil {
		return err
	}
	tell(s.stderr, "in "+c.To, b)
	return nil
}

type restoreCommand struct {
	From string `arg:"" placeholder:"FOLDER" help:"The folder with the backup."`
	stored
	NATSReplicas int `name:"nats-replicas" placeholder:"N" help:"How many of the NATS servers are to keep a copy of everything. Default: as many as did."`
}

// Help is shown by `vivarium restore --help`.
func (*restoreCommand) Help() string {
	return `The place must be empty: nothing is ever replaced. A backup of a folder can be restored to NATS servers, and the other
way round.

Examples:
  vivarium restore --data ./data ./backups/monday
  vivarium restore --nats nats://10.0.0.5:4222 --nats-replicas 3 ./backups/monday`
}

// Run implements the command.
func (c *restoreCommand) Run(ctx context.Context, s *session) error {
	config := c.config()
	config.Replicas = c.NATSReplicas
	b, err := store.Restore(ctx, config, c.From)
	if err != nil {
		return err
	}
	tell(s.stderr, "restored from "+b.CreatedAt.Format("2006-01-02 15:04 MST"), b)
	return nil
}

// tell says what a backup has.
func tell(w io.Writer, what string, b store.Backup) {
	var messages, bytes uint64
	for _, s := range b.Streams {
		messages, bytes = messages+s.Messages, bytes+s.Bytes
	}
	fmt.Fprintf(w, "vivarium: %s: %d records and calls, %.1f MB\n", what, messages, float64(bytes)/1e6)
}
