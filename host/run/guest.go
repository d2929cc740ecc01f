package run

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/paced"
	"vivarium/wasm"
)

// What the guest's runtime says with a response (python-wasi/README.md, ABI).
const (
	responseJSON  wasm.ResponseKind = 0
	responseBytes wasm.ResponseKind = 1
	responseError wasm.ResponseKind = 2
)

// loadRequest asks the guest to set its environment and to import the module.
type loadRequest struct {
	Entrypoint  string            `json:"entrypoint"`
	Environment map[string]string `json:"environment"`
	Structured  bool              `json:"structured_logging"`
	// Freeze says that the loaded state is to become an image.
	Freeze bool `json:"freeze,omitempty"`
	// Prepare, when not nil, says that nothing is to be imported yet: only what
	// each instance would do alike is done, such as compiling these files.
	Prepare *[]string `json:"prepare,omitempty"`
}

// loadRequest returns the document that makes the guest load v, with the values of its
// secrets where an instance of its own is to have them.
func (v *live) loadRequest(secrets map[string]string) loadRequest {
	env := v.PlatformEnvironment()
	maps.Copy(env, v.Environment)
	maps.Copy(env, secrets)
	return loadRequest{Entrypoint: v.Entrypoint, Environment: env, Structured: !v.PlainLogs}
}

func (r loadRequest) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil { // strings always marshal
		panic(err)
	}
	return b
}

// loadResponse is what a successful load answers.
type loadResponse struct {
	// Impure are reasons, seen from inside, why two instances must not have
	// the loaded state in common.
	Impure []string `json:"impure"`
	// Sources are the function's files that were imported.
	Sources []string `json:"sources"`
}

// contextDocument is the context that a handler gets, contract §5.
type contextDocument struct {
	AWSRequestID       string        `json:"aws_request_id"`
	DeadlineMS         int64         `json:"deadline_ms"`
	FunctionName       string        `json:"function_name"`
	FunctionVersion    string        `json:"function_version"`
	InvokedFunctionARN string        `json:"invoked_function_arn"`
	LogGroupName       string        `json:"log_group_name"`
	LogStreamName      string        `json:"log_stream_name"`
	MemoryLimitInMB    int           `json:"memory_limit_in_mb"`
	RequestID          string        `json:"request_id"`
	Token              *access.Token `json:"token"`
}

// invokeRequest builds the document that a call passes on stdin.
func (v *live) invokeRequest(inv Invocation, token *access.Token, deadline time.Time, restored bool, work paced.Work) []byte {
	c, err := json.Marshal(contextDocument{
		AWSRequestID: inv.RequestID, DeadlineMS: deadline.UnixMilli(),
		FunctionName: v.FunctionID, FunctionVersion: v.ID, InvokedFunctionARN: v.FunctionID,
		LogGroupName: v.LogGroupID, LogStreamName: v.ID, MemoryLimitInMB: v.MemoryMB, RequestID: inv.RequestID,
		Token: token,
	})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	// Put together by hand: marshalling an event of megabytes again only to
	// check it would double the time that large calls take.
	b := fmt.Appendf(nil, `{"restored":%t,"context":%s,"raw":%t`, restored, c, inv.Raw)
	text := utf8.Valid(inv.Body)
	coded := len(inv.Body) > LargeBody || !text
	switch {
	case !inv.Raw:
		b = append(append(b, `,"event":`...), inv.Event(work)...)
	case coded:
		b = fmt.Appendf(b, `,"body":null,"text":%t`, text)
	default:
		b = append(b, `,"body":"`...)
		for piece := range paced.Pieces(inv.Body, work) {
			text, _ := json.Marshal(string(piece)) // valid UTF-8 always marshals
			b = append(b, text[1:len(text)-1]...)
		}
		b = append(b, '"')
	}
	if coded {
		b = append(b, `,"body_base64":"`...)
		b = slices.Grow(b, base64.StdEncoding.EncodedLen(len(inv.Body))+2) // at once: growing by and by holds twice as much
		for piece := range slices.Chunk(inv.Body, paced.Piece/3*3) {
			b = base64.StdEncoding.AppendEncode(b, piece)
			work(len(piece))
		}
		b = append(b, '"')
	}
	return append(b, '}')
}

// maxErrorFrames is how many frames an error's stack trace may have; the runtime
// reports a hundred.
const maxErrorFrames = 1000

// functionError reads a function error that the guest reports. The caller gets
// the guest's very text.
func functionError(body []byte, work paced.Work) error {
	e := &fault.FunctionError{Document: body}
	if err := readError(paced.DecodeJSON(body, work), e); err != nil || e.Type == "" {
		// The runtime never writes this, but the code that it runs could.
		return &fault.FunctionError{Type: "RuntimeExit", Message: "the runtime gave an error report that can't be read"}
	}
	return e
}

// readError reads the document of an error into e.
func readError(d *json.Decoder, e *fault.FunctionError) error {
	return paced.Members(d, func(name string) error {
		switch name {
		case "errorMessage":
			return d.Decode(&e.Message)
		case "errorType":
			return d.Decode(&e.Type)
		case "stackTrace":
			e.StackTrace = nil
			return paced.Elements(d, func() error {
				if len(e.StackTrace) == maxErrorFrames {
					return errors.New("too many frames")
				}
				var frame string
				err := d.Decode(&frame)
				e.StackTrace = append(e.StackTrace, frame)
				return err
			})
		}
		return paced.Skip(d)
	})
}
