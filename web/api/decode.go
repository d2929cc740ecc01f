package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

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
// A field that v does not have is refused, so that a misspelt one is noticed.
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &statusError{http: http.StatusUnsupportedMediaType, code: CodeInvalidArgument,
			message: "the request's Content-Type must be application/json"}
	}
	body, err := readAll(w, r, limit)
	if err != nil {
		return err
	}
	if err := strictjson.Decode(body, v); err != nil {
		e, _ := errors.AsType[*strictjson.Error](err)
		violations := make([]FieldViolation, len(e.Fields))
		for i, f := range e.Fields {
			violations[i] = FieldViolation{f.Field, f.Rule}
		}
		return invalidFields(violations)
	}
	return nil
}

// readAll reads the body within the limits of size and time.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := transfer.Read(w, r, transfer.Limits{Bytes: limit, Time: transferTimeout})
	switch {
	case errors.Is(err, transfer.ErrTooLarge):
		return nil, &statusError{http: http.StatusRequestEntityTooLarge, code: CodeInvalidArgument,
			message: fmt.Sprintf("the request is larger than %d bytes", limit)}
	case errors.Is(err, transfer.ErrSlow):
		return nil, &statusError{http: http.StatusRequestTimeout, code: CodeInvalidArgument, message: "the request's body took too long"}
	case err != nil:
		return nil, &statusError{http: http.StatusBadRequest, code: CodeInvalidArgument, message: "the request's body ended early"}
	}
	return body, nil
}
