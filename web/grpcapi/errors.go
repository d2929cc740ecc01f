package grpcapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"vivarium/web/api"
)

// status returns the answer to an error, that of REST: the code, the message, and in its
// details the fields that break rules, the traceback of code that does not load, and the
// request id. Faults of ours are logged.
func (s *Server) status(ctx context.Context, path string, err error) *status.Status {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return status.New(codes.DeadlineExceeded, "the call's deadline passed first")
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	requestID := ""
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		requestID = c.requestID
	}
	told, ours := api.StatusOf(err, requestID)
	if ours {
		s.config.Logger.Error("management call failed", "request_id", requestID, "method", path, "error", err)
	}
	return statusOf(told)
}

// statusOf returns the form in gRPC of an answer that is an error.
func statusOf(told *api.Status) *status.Status {
	message, details, room := told.Message, []protoadapt.MessageV1{}, maxDetails
	for _, d := range told.Details {
		switch {
		case len(d.FieldViolations) > 0:
			bad, texts := &errdetails.BadRequest{}, []string{}
			for _, v := range d.FieldViolations {
				v.Description = cut(v.Description, &room)
				bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
					Field: fieldName(v.Field), Description: v.Description,
				})
				texts = append(texts, fieldName(v.Field)+": "+v.Description)
			}
			message, details = strings.Join(texts, "; "), append(details, bad)
		case d.RequestID != "":
			details = append(details, &errdetails.RequestInfo{RequestId: d.RequestID})
		default:
			details = append(details, debugInfo(d, &room))
		}
	}
	st, err := status.New(codes.Code(told.Code), cut(message, new(maxDetails))).WithDetails(details...)
	if err != nil { // all details are ours and can be encoded
		panic(err)
	}
	return st
}

// An error's text is in headers, of which clients accept 8 KiB in all: what is longer is
// cut. In bytes.
const (
	maxText    = 1000 // of one text
	maxDetails = 2500 // of all texts in the details
)

// cut returns the beginning of a text for which there is room, and takes that.
func cut(text string, room *int) string {
	if most := min(maxText, *room); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	*room -= min(*room, len(text))
	return text
}

// debugInfo has the exception of code that does not load, and as many frames of its
// traceback as there is room for, the innermost ones first.
func debugInfo(d api.Detail, room *int) *errdetails.DebugInfo {
	info := &errdetails.DebugInfo{Detail: cut(d.Detail, new(maxText/2))}
	first := len(d.StackEntries)
	for first > 0 && len(d.StackEntries[first-1]) <= *room {
		first--
		*room -= len(d.StackEntries[first])
	}
	info.StackEntries = d.StackEntries[first:]
	return info
}

var capital = regexp.MustCompile(`[a-z][A-Z]`)

// fieldName returns a field's name in the definitions: that in JSON with underscores.
func fieldName(name string) string {
	if strings.Contains(name, " ") { // environment variable "NAME"
		return name
	}
	return capital.ReplaceAllStringFunc(name, func(s string) string { return s[:1] + "_" + strings.ToLower(s[1:]) })
}

// refuse answers a call that grpc is not to see: with the headers of a status alone.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	st := s.status(r.Context(), r.URL.Path, err)
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", codeText(st.Code()))
	header.Set("Grpc-Message", escape(st.Message()))
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if b, err := proto.Marshal(p); err == nil {
			header.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b))
		}
	}
	w.WriteHeader(http.StatusOK)
}

// codeText returns a code as its header has it.
func codeText(code codes.Code) string { return strconv.Itoa(int(code)) }

// escape returns a message as its header has it: printable ASCII, with everything else
// as %XX.
func escape(message string) string {
	var b strings.Builder
	for i := range len(message) {
		if c := message[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
