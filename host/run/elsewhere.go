package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/wasm"
)

// Making an image costs eight times the processor time of copying it. So the node that makes a
// version makes its image, and others copy that when they need it.
//
// # Why of each other, and not of the store?
//
// Images are derived, large, and needed where functions have their homes, which is where they
// are. In the store each would be written three times more, and somebody would have to clean up.
// Nodes already know who is a node and talk over TLS; who asks and finds nothing makes the image.
//
// # Why by what it is made of, and not by its hash?
//
// No two images of a version are the same bytes: each has its own seed of hashes. A record of
// who has made which would be one more thing that can be out of date. The key names all that an
// image depends on: the guest as rewritten, its library, the root certificates, the version.
//
// # What can go wrong with an image that somebody else has made?
//
// It has a guest's memory and globals, and no machine code. What the header says of where parts
// go is checked before anything is mapped. So even a wrong image does no more than what a
// guest could do, as this version's. Only nodes give images, and only to nodes; a
// node can write to the store, and so could change the version's code all the same.

// maxFetched is the size of the largest image that is copied from another node, in bytes.
const maxFetched = 256 << 20

// imageSource returns the image of a version that another node has under a key, or
// fs.ErrNotExist. It blocks for as long as ctx allows at most, and so does what it returns.
type imageSource = func(ctx context.Context, v *catalog.Version, key string) (io.ReadCloser, error)

// ShareImages has images copied from other nodes, by source, and returns what gives them those
// that this one has.
//
// Both take a key, which says what an image depends on besides its version: it is given to those
// alone who would make the same. Source returns fs.ErrNotExist if no other node has one, and
// blocks for as long as ctx allows at most, and so does what it returns. Give returns fs.ErrNotExist if
// there is none that can be had at once and is worth having; it does not block for long, and
// whoever has read the content calls done.
func (r *Runner) ShareImages(source imageSource) (
	give func(versionID, key string) (content *io.SectionReader, done func(), err error),
) {
	r.maker.elsewhere.Store(&source)
	return func(versionID, key string) (*io.SectionReader, func(), error) {
		return r.maker.giveImage(r.version(versionID), key)
	}
}

// keyOf returns what the images of an engine depend on, besides the version.
func keyOf(e engine) string {
	sum := sha256.Sum256([]byte(e.Key()))
	return hex.EncodeToString(sum[:])
}

// fetchImage copies the image of a version from another node.
//
// # Errors
//
// fs.ErrNotExist, others of the source, those of Engine.ReceiveImage and of storeImage.
func (m *maker) fetchImage(ctx context.Context, e engine, path string, v *live) (*versionImage, error) {
	source := m.elsewhere.Load()
	// Nobody else knows a version that is being made, or one that is in no store.
	if source == nil || v.Transient || v.loading.unhurried.Load() {
		return nil, fs.ErrNotExist
	}
	from, err := (*source)(ctx, v.Version, keyOf(e))
	if err != nil {
		return nil, err
	}
	defer from.Close()
	image, err := e.ReceiveImage(path, v.ID, from, func(bytes int64) error {
		if bytes > maxFetched {
			return fmt.Errorf("%w: has %d bytes", wasm.ErrImage, bytes)
		}
		return m.storeImage(v, bytes, path == "")
	})
	if err != nil {
		m.unstoreImage(v)
		return nil, err
	}
	note, err := noteOf(image)
	if err != nil {
		_ = image.Close()
		v.pool.image.remove()
		m.unstoreImage(v)
		return nil, err
	}
	m.images.copied.Add(1)
	return &versionImage{image: image, imageNote: note}, nil
}

// noteOf returns what is remembered with an image.
func noteOf(i image) (note imageNote, err error) {
	if err := json.Unmarshal(i.Note(), &note); err != nil {
		return imageNote{}, fmt.Errorf("%w: note: %v", wasm.ErrImage, err)
	}
	return note, nil
}

// giveImage returns a version's image for another node, as ShareImages says.
func (m *maker) giveImage(v *live, key string) (content *io.SectionReader, done func(), err error) {
	if v == nil || v.Transient {
		return nil, nil, fs.ErrNotExist
	}
	in := m.interpreters.ready(v.Runtime)
	if in == nil || keyOf(in.engine) != key {
		return nil, nil, fs.ErrNotExist
	}
	image, path := v.pool.image.borrow(), v.pool.image.path
	if image != nil {
		done = func() {
			v.pool.image.put()
			v.pool.noteUnused()
		}
	} else if path == "" {
		return nil, nil, fs.ErrNotExist
	} else if image, err = openLeft(in.engine, path, v); err == nil {
		done = func() { _ = image.Close() } // a file that was only read
	} else {
		return nil, nil, fs.ErrNotExist
	}
	if image.Failed || image.FileSize() > maxFetched {
		done()
		return nil, nil, fs.ErrNotExist
	}
	return image.Content(), done, nil
}

// tellFetch reports why an image was not copied, unless that is how it should be.
func (r *reporter) tellFetch(v *live, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !fault.Of(err).NoRoom() && !errors.Is(err, context.Canceled) {
		r.warn("image not copied from another node, so it is made", v, "error", err)
	}
}
