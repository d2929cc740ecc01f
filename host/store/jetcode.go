package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// codeTimeout bounds the transfer of an archive of that many bytes.
func codeTimeout(size int) time.Duration {
	return opTimeout + time.Duration(size>>20)*time.Second
}

// maxArchive is the size that is reckoned with where it is not known.
const maxArchive = 128 << 20

// jetCode is Code.
type jetCode struct {
	*jet
	objects jetstream.ObjectStore
}

func (c *jetCode) Put(ctx context.Context, archive []byte) (name string, err error) {
	name = CodeName(archive)
	// One that is there but damaged is mended by storing it anew.
	if _, err := c.Get(ctx, name); err == nil {
		return name, nil
	}
	ctx, cancel := context.WithTimeout(ctx, codeTimeout(len(archive)))
	defer cancel()
	// A server that runs out of room in the middle says nothing for long.
	if err := c.room(int64(len(archive))); err != nil {
		return "", err
	}
	_, err = c.objects.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(archive))
	return name, unavailable("code "+name, err)
}

// room says if the server in this process has room for so many bytes.
func (c *jetCode) room(size int64) error {
	if c.server == nil {
		return nil
	}
	info, err := c.server.Jsz(nil)
	if err != nil {
		return unavailable("server", err)
	}
	if free := info.Config.MaxStore - int64(info.Store); free < size {
		return fmt.Errorf("%w: %d bytes do not fit into the %d that are free; delete old versions, or make room on "+
			"the disk and start again", ErrUnavailable, size, max(free, 0))
	}
	return nil
}

func (c *jetCode) Get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, codeTimeout(maxArchive))
	defer cancel()
	info, err := c.objects.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("code %s: %w", name, ErrNotFound)
	} else if err != nil {
		return nil, unavailable("code "+name, err)
	}
	// Pieces that the server finds damaged never come.
	reading, stop := context.WithTimeout(ctx, codeTimeout(int(info.Size)))
	defer stop()
	archive, err := c.objects.GetBytes(reading, name)
	switch {
	case errors.Is(err, jetstream.ErrDigestMismatch):
		return nil, fmt.Errorf("%w: %s; deploy the function anew", ErrCorrupt, name)
	case err != nil:
		return nil, unavailable("code "+name, err)
	}
	if CodeName(archive) != name {
		return nil, fmt.Errorf("%w: %s; deploy the function anew", ErrCorrupt, name)
	}
	return archive, nil
}

func (c *jetCode) Delete(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := c.objects.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return unavailable("code "+name, err)
	}
	return nil
}

func (c *jetCode) Collect(ctx context.Context, age time.Duration, keep map[string]bool) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, codeTimeout(maxArchive))
	defer cancel()
	infos, err := c.objects.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return 0, unavailable("code", err)
	}
	missing := maps.Clone(keep)
	for _, info := range infos {
		delete(missing, info.Name)
	}
	for name := range missing {
		return 0, missingCode(name)
	}
	n := 0
	known := map[string]bool{}
	for _, info := range infos {
		known[info.NUID] = true
		if keep[info.Name] || time.Since(info.ModTime) < age {
			continue
		}
		if err := c.objects.Delete(ctx, info.Name); err != nil {
			return n, unavailable("code "+info.Name, err)
		}
		n++
	}
	if !c.exclusive {
		return n, nil
	}
	return n, c.collectChunks(ctx, known)
}

// collectChunks removes pieces of archives that never became whole.
func (c *jetCode) collectChunks(ctx context.Context, known map[string]bool) error {
	const subject = "$O." + prefix + "code.C."
	stream, err := c.js.Stream(ctx, "OBJ_"+prefix+"code")
	if err != nil {
		return unavailable("code", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject+">"))
	if err != nil {
		return unavailable("code", err)
	}
	for s := range info.State.Subjects {
		if known[strings.TrimPrefix(s, subject)] {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(s)); err != nil {
			return unavailable("code", err)
		}
	}
	return nil
}

func (c *jetCode) Names(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, codeTimeout(maxArchive))
	defer cancel()
	infos, err := c.objects.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, unavailable("code", err)
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name
	}
	return names, nil
}
