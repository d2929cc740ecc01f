package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// codeTimeout bounds the transfer of an archive of size bytes.
func codeTimeout(size int) time.Duration {
	return opTimeout + time.Duration(size>>20)*time.Second
}

// maxArchive is the size assumed where it is unknown.
const maxArchive = 128 << 20

// jetCode implements Code.
type jetCode struct {
	*jet
	objects jetstream.ObjectStore
}

func (c *jetCode) Put(ctx context.Context, archive []byte) (name string, err error) {
	name = CodeName(archive)
	// A damaged archive is repaired by storing it again.
	if _, err := c.Get(ctx, name); err == nil {
		return name, nil
	}
	// A server that runs out of room halfway is silent for long.
	if err := c.room(int64(len(archive))); err != nil {
		return "", err
	}
	err = c.link.repeat(ctx, codeTimeout(len(archive))-opTimeout+attemptTime, func(ctx context.Context) error {
		_, err := c.objects.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(archive))
		return err
	})
	return name, unavailable("code "+name, err)
}

// room reports an error if the server in this process lacks room for size
// bytes.
func (c *jetCode) room(size int64) error {
	if c.server == nil {
		return nil
	}
	info, err := c.server.Jsz(nil)
	if err != nil {
		return unavailable("server", err)
	}
	if free := info.Config.MaxStore - int64(info.Store); free < size {
		return fmt.Errorf("%w: %d bytes do not fit into the %d that are free; delete old versions, or free space on "+
			"the disk and restart", ErrUnavailable, size, max(free, 0))
	}
	return nil
}

func (c *jetCode) Get(ctx context.Context, name string) ([]byte, error) {
	info, err := c.info(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, codeTimeout(int(info.Size)))
	defer cancel()
	if archive, err := c.stream(ctx, name, info.Size); err == nil {
		return archive, nil
	}
	for {
		archive, err := c.fetch(ctx, info)
		if err != nil {
			return nil, unavailable("code "+name, err)
		}
		if CodeName(archive) == name {
			return archive, nil
		}
		// The chunks of an archive that was stored again, or deleted, meanwhile are gone.
		now, err := c.info(ctx, name)
		if err != nil {
			return nil, err
		}
		if now.NUID == info.NUID {
			return nil, fmt.Errorf("%w: %s; deploy the function again", ErrCorrupt, name)
		}
		info = now
	}
}

// stream reads an archive from any of the servers that keep it. One that lags behind has not
// got all of it, and chunks that a server finds damaged never arrive.
func (c *jetCode) stream(ctx context.Context, name string, size uint64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second+time.Duration(size>>20)*100*time.Millisecond)
	defer cancel()
	archive, err := c.objects.GetBytes(ctx, name)
	if err == nil && CodeName(archive) != name {
		err = ErrCorrupt
	}
	return archive, err
}

// fetch reads as much of an archive as the leader has, chunk by chunk, which takes longer.
func (c *jetCode) fetch(ctx context.Context, info *jetstream.ObjectInfo) (archive []byte, err error) {
	subject := c.names.code() + "C." + info.NUID
	for next := uint64(1); uint64(len(archive)) < info.Size; {
		m, err := c.leader().next(ctx, subject, next)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		archive, next = append(archive, m.Data...), m.Sequence+1
	}
	return archive, nil
}

func (c *jetCode) leader() leader { return leader{c.conn, c.link, c.names.codeStream()} }

// info describes the archive of a name.
func (c *jetCode) info(ctx context.Context, name string) (*jetstream.ObjectInfo, error) {
	var info jetstream.ObjectInfo
	m, err := c.leader().last(ctx, c.names.code()+"M."+base64.URLEncoding.EncodeToString([]byte(name)))
	if err == nil {
		err = json.Unmarshal(m.Data, &info)
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) || info.Deleted {
		return nil, fmt.Errorf("code %s: %w", name, ErrNotFound)
	}
	return &info, unavailable("code "+name, err)
}

func (c *jetCode) Delete(ctx context.Context, name string) error {
	err := c.link.repeat(ctx, attemptTime, func(ctx context.Context) error {
		err := c.objects.Delete(ctx, name)
		if !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err
		}
		_, err = c.info(ctx, name)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err == nil:
			return errLags
		}
		return err
	})
	return unavailable("code "+name, err)
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
	for _, info := range infos {
		if keep[info.Name] || time.Since(info.ModTime) < age {
			continue
		}
		if now, err := c.info(ctx, info.Name); err != nil || now.NUID != info.NUID {
			continue // deleted, or stored again since
		}
		if err := c.objects.Delete(ctx, info.Name); err != nil {
			return n, unavailable("code "+info.Name, err)
		}
		n++
	}
	return n, c.collectChunks(ctx, age, infos)
}

// collectChunks removes chunks of incomplete archives that nobody has added to for as long as
// age: whoever shares the servers may be about to complete one. Infos are of the complete ones.
func (c *jetCode) collectChunks(ctx context.Context, age time.Duration, infos []*jetstream.ObjectInfo) error {
	known := map[string]bool{}
	for _, info := range infos {
		known[info.NUID] = true
	}
	stream, abandoned, err := c.chunks(ctx, age, known)
	if err != nil || len(abandoned) == 0 {
		return err
	}
	// The infos may be of a server that lags behind, and an archive stored again since.
	for _, of := range infos {
		if now, err := c.info(ctx, of.Name); err == nil {
			known[now.NUID] = true
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	for subject, id := range abandoned {
		if known[id] {
			continue
		}
		if err := c.purge(ctx, stream, jetstream.WithPurgeSubject(subject)); err != nil {
			return unavailable("code", err)
		}
	}
	return nil
}

// chunks returns the subjects of the chunks that are older than age and of no known archive, with
// the NUID of the archive that each is of.
func (c *jetCode) chunks(
	ctx context.Context, age time.Duration, known map[string]bool,
) (stream jetstream.Stream, found map[string]string, err error) {
	prefix := c.names.code() + "C."
	if stream, err = c.js.Stream(ctx, c.names.codeStream()); err != nil {
		return nil, nil, unavailable("code", err)
	}
	counts, err := c.countBySubject(ctx, stream, prefix)
	if err != nil {
		return nil, nil, err
	}
	found = map[string]string{}
	for id := range counts {
		if known[id] {
			continue
		}
		if age > 0 {
			last, err := c.leader().last(ctx, prefix+id)
			switch {
			case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && time.Since(last.Time) < age:
				continue
			case err != nil:
				return nil, nil, unavailable("code", err)
			}
		}
		found[prefix+id] = id
	}
	return stream, found, nil
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
