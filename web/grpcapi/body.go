package grpcapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/web/api"
	"vivarium/web/manage"
	"vivarium/web/transfer"
)

const (
	// maxMessage bounds a request that carries no code, in bytes.
	maxMessage = 1 << 20
	// maxUpload bounds one that does.
	maxUpload = api.MaxContent + maxMessage
	// maxAnonymous bounds one whose sender is unknown.
	maxAnonymous = 64 << 10
	// maxAnswer bounds an answer: clients of gRPC refuse larger ones than 4 MiB.
	maxAnswer = 4<<20 - 64<<10
	// transferTimeout is how long a request may be on its way.
	transferTimeout = 5 * time.Minute
)

// receive reads a request to its end, before grpc sees any of it: grpc would read ahead
// without bounds, and nobody would count what it holds.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, m method, held *manage.Held) error {
	limits := transfer.Limits{Bytes: maxMessage, Time: transferTimeout, Hold: held.Reserve}
	caller := access.PrincipalOf(r.Context())
	switch {
	case m.upload:
		limits.Bytes = maxUpload
		received, err := s.desk.Uploads.Reserve(r.Context(), manage.Uploader(r.RemoteAddr, caller))
		if err != nil {
			return err
		}
		defer received()
	case caller.Anonymous():
		limits.Bytes = maxAnonymous
	}
	body, err := transfer.Read(w, r, limits)
	switch _, counted := fault.As(err); {
	case err == nil:
	case counted:
		return err
	case errors.Is(err, transfer.ErrTooLarge):
		return status.Errorf(codes.ResourceExhausted, "the request is larger than %d bytes", limits.Bytes)
	case errors.Is(err, transfer.ErrSlow):
		return status.Error(codes.DeadlineExceeded, "the request took too long to arrive")
	default:
		return status.Error(codes.Canceled, "the request ended early")
	}
	more, err := weigh(body[min(frame, len(body)):], m.input)
	if err != nil {
		return err
	}
	if err := held.Reserve(2*len(body) + more); err != nil { // grpc's copy, and what is decoded of it
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}
