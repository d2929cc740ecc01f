package web

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/cluster"
)

// imagePath is where a node is asked for the image of a version.
const imagePath = "/image"

// Parameters of that question.
const (
	imageOf  = "version" // its id
	imageKey = "key"     // as run.Runner.ShareImages has it
)

// Bounds of copying images between nodes. Whoever exceeds one makes the image, which takes a
// fifth of a second and what the function's imports take.
const (
	imageTime  = 10 * time.Second       // for all of it
	imagePause = 500 * time.Millisecond // in which nothing comes; also to find who has it
	maxCopies  = 32                     // at once; half of them for one tenant, or one node
)

// Images returns the image of a version, for other nodes; see run.Runner.ShareImages.
type Images func(versionID, key string) (content *io.SectionReader, done func(), err error)

// Image returns the image of a version from the first node that has it; those are asked first
// that are, or were, the function's homes. It is for run.Runner.ShareImages.
func (p *Peers) Image(ctx context.Context, v *catalog.Version, key string) (io.ReadCloser, error) {
	if !p.copies.reserve(v.Tenant) {
		return nil, fs.ErrNotExist
	}
	ctx, cancel := context.WithTimeout(ctx, max(imageTime, p.pause))
	end := func() {
		cancel()
		p.copies.give(v.Tenant)
	}
	query := url.Values{imageOf: {v.ID}, imageKey: {key}}.Encode()
	patience := time.AfterFunc(p.pause, cancel)
	for _, peer := range p.cluster.Others(v.FunctionID) {
		body := p.askImage(ctx, peer, query)
		if body != nil {
			return &imageCopy{body, patience, p.pause, end}, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	patience.Stop()
	end()
	return nil, fs.ErrNotExist
}

// askImage asks a node for an image; nil if that does not give one, for whatever reason: it may
// be of another version, which does not know the question.
func (p *Peers) askImage(ctx context.Context, peer *cluster.Peer, query string) io.ReadCloser {
	u := url.URL{Scheme: "https", Host: peer.Address(), Path: imagePath, RawQuery: query}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil
	}
	response, err := p.client.Do(r)
	if err != nil {
		return nil
	}
	if response.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, maxAnswers) // a line, so that the connection can be used again
		_ = response.Body.Close()
		return nil
	}
	return response.Body
}

// imageCopy is an image as it comes from another node.
type imageCopy struct {
	io.ReadCloser             // the response's body
	patience      *time.Timer // ends it
	pause         time.Duration
	end           func()
}

// Read implements io.Reader. It fails if nothing comes for too long.
func (c *imageCopy) Read(p []byte) (int, error) {
	c.patience.Reset(c.pause)
	defer c.patience.Stop()
	return c.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (c *imageCopy) Close() error {
	c.patience.Stop()
	defer c.end()
	return c.ReadCloser.Close()
}

// giveImage answers another node that asks for an image.
func (s *Server) giveImage(w http.ResponseWriter, r *http.Request) {
	if s.config.Images == nil {
		http.NotFound(w, r)
		return
	}
	node := clientOf(r.RemoteAddr)
	if !s.copies.reserve(node) {
		http.Error(w, "Service Unavailable: too many nodes copy images", http.StatusServiceUnavailable)
		return
	}
	defer s.copies.give(node)
	query := r.URL.Query()
	image, done, err := s.config.Images(query.Get(imageOf), query.Get(imageKey))
	if err != nil {
		http.Error(w, "Not Found: "+err.Error(), http.StatusNotFound)
		return
	}
	defer done()
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(s.config.TransferTimeout))
	defer func() { _ = connection.SetWriteDeadline(time.Time{}) }()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(image.Size(), 10))
	_, _ = io.Copy(w, image) // if it fails, the other node notices
}
