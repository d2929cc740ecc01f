package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go/jetstream"
)

// backupFile is the file of a backup that says what is in it. It is written last: without
// it a backup is not complete.
const backupFile = "vivarium-backup.json"

// backupFormat is the version of backups that this program writes, and reads.
const backupFormat = 1

// Backup says what a backup has.
type Backup struct {
	Format    int            `json:"format"`
	CreatedAt time.Time      `json:"created_at"`
	Prefix    string         `json:"prefix,omitempty"` // see Config.Prefix; empty means DefaultPrefix
	Streams   []BackupStream `json:"streams"`
}

// BackupStream is one stream of a store, which has a folder of its name in the backup.
type BackupStream struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// BackUp copies a store into a new folder, or one that is empty. With Dir nobody else may
// use the store meanwhile. With URL it may be in use: what changes meanwhile may be in the
// backup or not, and a version that is deleted may be listed in it without its code.
//
// # Errors
//
// *LockedError, ErrUnavailable; those of the folder. What was written by then is removed.
func BackUp(ctx context.Context, cfg Config, folder string) (_ Backup, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return Backup{}, fmt.Errorf("store: backup: %w", err)
	}
	switch there, err := os.ReadDir(folder); {
	case err != nil:
		return Backup{}, fmt.Errorf("store: backup: %w", err)
	case len(there) > 0:
		return Backup{}, fmt.Errorf("store: backup: %s is not empty; name a new folder", folder)
	}
	if cfg.Dir != "" {
		if _, err := os.Stat(filepath.Join(cfg.Dir, "jetstream")); err != nil {
			return Backup{}, fmt.Errorf("store: %s has no store: %w", cfg.Dir, err)
		}
	}
	j, manager, err := manage(cfg)
	defer j.close()
	if err != nil {
		return Backup{}, err
	}
	streams, err := ours(manager, j.names)
	if err != nil {
		return Backup{}, err
	}
	if len(streams) == 0 {
		return Backup{}, fmt.Errorf("store: there is no store to back up")
	}
	backup := Backup{Format: backupFormat, CreatedAt: time.Now().UTC(), Prefix: string(j.names)}
	defer func() {
		for _, s := range backup.Streams {
			if err != nil {
				_ = os.RemoveAll(filepath.Join(folder, s.Name))
			}
		}
	}()
	for _, s := range streams {
		backup.Streams = append(backup.Streams, BackupStream{Name: s.Name()})
		if _, err := s.SnapshotToDirectory(ctx, filepath.Join(folder, s.Name()), jsm.SnapshotHealthCheck()); err != nil {
			return Backup{}, unavailable("backup of "+s.Name(), err)
		}
		meta, err := readMeta(filepath.Join(folder, s.Name()))
		if err != nil {
			return Backup{}, err
		}
		last := &backup.Streams[len(backup.Streams)-1]
		last.Messages, last.Bytes = meta.State.Msgs, meta.State.Bytes
	}
	return backup, os.WriteFile(filepath.Join(folder, backupFile), Record(backup), 0o600)
}

// Restore makes a store of a backup, where there is none.
//
// # Errors
//
// *LockedError, ErrUnavailable; an error that says what to do when the backup is not
// complete, is of another format, or there is a store already. Nothing is left of a store
// that could not be restored as a whole.
func Restore(ctx context.Context, cfg Config, folder string) (_ Backup, err error) {
	backup, err := ReadBackup(folder)
	if err != nil {
		return Backup{}, err
	}
	j, manager, err := manage(cfg)
	defer j.close()
	if err != nil {
		return Backup{}, err
	}
	if of := cmp.Or(backup.Prefix, DefaultPrefix); of != string(j.names) {
		return Backup{}, fmt.Errorf("store: restore: the backup is of a store with the prefix %s, which the names in it keep; "+
			"restore it to NATS servers with --nats-prefix %s", of, of)
	}
	there, err := ours(manager, j.names)
	if err != nil {
		return Backup{}, err
	}
	if len(there) > 0 {
		return Backup{}, errors.New("store: restore: there is a store already; give an empty place, " +
			"or remove what is there if the backup is to replace it")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.undoRestore(context.WithoutCancel(ctx), backup))
		}
	}()
	for _, s := range backup.Streams {
		meta, err := readMeta(filepath.Join(folder, s.Name))
		if err != nil {
			return Backup{}, err
		}
		if cfg.Replicas > 0 || cfg.Dir != "" {
			meta.Config.Replicas = max(cfg.Replicas, 1)
		}
		from := filepath.Join(folder, s.Name)
		_, state, err := manager.RestoreSnapshotFromDirectory(ctx, s.Name, from, jsm.RestoreConfiguration(meta.Config))
		if err != nil {
			return Backup{}, fmt.Errorf("%w: restore of %s: %w", ErrUnavailable, s.Name, err)
		}
		if state.Msgs != s.Messages {
			return Backup{}, fmt.Errorf("store: restore: %s has %d messages, the backup says %d; is it damaged?", s.Name, state.Msgs, s.Messages)
		}
	}
	if cfg.Dir != "" && cfg.Marks != "" { // which tell of what was here before
		if err := os.Remove(cfg.Marks); err != nil && !errors.Is(err, os.ErrNotExist) {
			return Backup{}, fmt.Errorf("store: restore: %w", err)
		}
	}
	return backup, nil
}

// undoRestore removes what there is of a backup's streams. Servers that could not restore one may
// not have agreed yet on who leads, and then need a moment for this too.
func (j *jet) undoRestore(ctx context.Context, backup Backup) error {
	for _, s := range backup.Streams {
		err := j.link.repeat(ctx, attemptTime, func(ctx context.Context) error { return j.js.DeleteStream(ctx, s.Name) })
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("%w: some of what was restored is left, of which %s can't be removed: %w", ErrUnavailable, s.Name, err)
		}
	}
	return nil
}

// ReadBackup returns what a folder's backup has.
func ReadBackup(folder string) (Backup, error) {
	text, err := os.ReadFile(filepath.Join(folder, backupFile))
	if errors.Is(err, os.ErrNotExist) {
		return Backup{}, fmt.Errorf("store: %s is no complete backup: it has no %s", folder, backupFile)
	}
	var b Backup
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return Backup{}, fmt.Errorf("store: %s can't be read: %w", filepath.Join(folder, backupFile), err)
	}
	if b.Format != backupFormat {
		return Backup{}, fmt.Errorf("store: %s is a backup of format %d; this program reads format %d", folder, b.Format, backupFormat)
	}
	names, err := newNames(b.Prefix)
	if err != nil {
		return Backup{}, fmt.Errorf("store: %s can't be read: %w", filepath.Join(folder, backupFile), err)
	}
	for _, s := range b.Streams {
		if !names.has(s.Name) || s.Name != filepath.Base(s.Name) {
			return Backup{}, fmt.Errorf("store: %s names the stream %.80q, which is none of a store's", folder, s.Name)
		}
	}
	return b, nil
}

// manage connects to where a store is, or is to be.
func manage(cfg Config) (*jet, *jsm.Manager, error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return &jet{}, nil, errors.New("store: give either a directory or a URL")
	}
	j := &jet{exclusive: cfg.Dir != ""}
	if err := j.connect(cfg.withDefaults()); err != nil {
		return j, nil, err
	}
	manager, err := jsm.New(j.conn, jsm.WithTimeout(opTimeout))
	return j, manager, err
}

// ours returns the streams of a store in the order in which they are backed up: what refers
// to something comes before that, so that a store in use is not caught without it.
func ours(manager *jsm.Manager, names names) ([]*jsm.Stream, error) {
	streams, missing, _, err := manager.Streams(nil)
	if err != nil {
		return nil, unavailable("streams", err)
	}
	for _, name := range missing {
		if names.has(name) {
			return nil, fmt.Errorf("%w: the stream %s does not answer", ErrUnavailable, name)
		}
	}
	streams = slices.DeleteFunc(streams, func(s *jsm.Stream) bool { return !names.has(s.Name()) })
	rank := func(s *jsm.Stream) int {
		switch name := s.Name(); {
		case name == names.codeStream():
			return 3
		case name == names.bucketStream("functions"):
			return 2
		case strings.HasPrefix(name, "KV_"):
			return 1
		}
		return 0 // calls that wait, dead letters, logs
	}
	slices.SortFunc(streams, func(a, b *jsm.Stream) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Name(), b.Name()))
	})
	return streams, nil
}

// readMeta returns how a stream of a backup was configured, and what was in it.
func readMeta(folder string) (api.JSApiStreamRestoreRequest, error) {
	var meta api.JSApiStreamRestoreRequest
	text, err := os.ReadFile(filepath.Join(folder, jsm.SnapshotMetaFile))
	if err == nil {
		err = json.Unmarshal(text, &meta)
	}
	if err != nil {
		return meta, fmt.Errorf("store: backup: %w", err)
	}
	return meta, nil
}
