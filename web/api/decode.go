package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"vivarium/host/fault"
	"vivarium/web/strictjson"
	"vivarium/web/transfer"
)

const (
	// maxBody bounds the body of a request that carries no code.
	maxBody = 1 << 20
	// MaxContent bounds the archive in a request (contract §6.2).
	MaxContent = 52_428_800
	// transferTimeout is how long the body of a request may be on its way.
	transferTimeout = 5 * time.Minute
)

// decode reads a request's body, one JSON object, into v, a pointer to a struct.
// A field that v does not have is refused, so that a misspelt one is noticed. A file is
// taken as it is. It blocks while other requests of the same caller are decoded.
func (h *Handler) decode(w http.ResponseWriter, r *http.Request, limits transfer.Limits, v any) (err error) {
	if f, ok := v.(*file); ok {
		*f, err = readAll(w, r, limits)
		return err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &statusError{http: http.StatusUnsupportedMediaType, code: CodeInvalidArgument,
			message: "the request's Content-Type must be application/json"}
	}
	body, err := readAll(w, r, limits)
	if err != nil {
		return err
	}
	if err := limits.Hold(len(body)); err != nil { // what is decoded of it
		return err
	}
	done, err := h.desk.Turn(r)
	if err != nil {
		return err
	}
	defer done()
	if err := strictjson.Decode(body, v); err != nil {
		return malformed(err)
	}
	return nil
}

// malformed is the error for what strictjson refuses.
func malformed(err error) error {
	e, _ := errors.AsType[*strictjson.Error](err)
	violations := make([]FieldViolation, len(e.Fields))
	for i, f := range e.Fields {
		violations[i] = FieldViolation{f.Field, f.Rule}
	}
	return invalidFields(violations)
}

// readAll reads the body within limits.
func readAll(w http.ResponseWriter, r *http.Request, limits transfer.Limits) ([]byte, error) {
	body, err := transfer.Read(w, r, limits)
	switch _, held := fault.As(err); {
	case held: // by Hold
		return nil, err
	case errors.Is(err, transfer.ErrTooLarge):
		return nil, &statusError{http: http.StatusRequestEntityTooLarge, code: CodeInvalidArgument,
			message: fmt.Sprintf("the request is larger than %d bytes", limits.Bytes)}
	case errors.Is(err, transfer.ErrSlow):
		return nil, &statusError{http: http.StatusRequestTimeout, code: CodeInvalidArgument, message: "the request's body took too long"}
	case err != nil:
		return nil, &statusError{http: http.StatusBadRequest, code: CodeInvalidArgument, message: "the request's body ended early"}
	}
	return body, nil
}
