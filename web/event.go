package web

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vivarium/host/paced"
)

// timeFormat is the format of requestTime: that of the Common Log Format.
const timeFormat = "02/Jan/2006:15:04:05 -0700"

// event is what a handler receives in HTTP mode, except for the members that
// only an API gateway fills: those are empty on a direct call.
type event struct {
	body            string
	headers         values
	httpMethod      string
	isBase64Encoded bool
	query           values
	requestID       string
	requestTime     time.Time
	sourceIP        string
}

// newEvent describes a request to a handler.
func newEvent(r *http.Request, call *call, query values, body []byte) *event {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // not TCP: a Unix socket has no such address
		client = netip.AddrPort{}
	}
	e := &event{
		headers:     requestHeaders(r, call, client),
		httpMethod:  r.Method,
		query:       query,
		requestID:   call.requestID,
		requestTime: call.received.UTC(),
	}
	if client.IsValid() {
		e.sourceIP = clientIP(client)
	}
	e.body, e.isBase64Encoded = eventBody(e.headers.last("Content-Type"), body)
	return e
}

// encode returns the event as a JSON document. The members are in the order
// that a handler which prints the event shows. It is written by hand because
// the body can be megabytes, and encoding/json would make several passes over
// it, and without interruption.
func (e *event) encode(work paced.Work) []byte {
	b := make([]byte, 0, len(e.body)+len(e.body)/8+2048)
	b = append(b, `{"body":"`...)
	for piece := range paced.Pieces(e.body, work) {
		b = appendEscaped(b, piece)
	}
	b = append(b, '"')
	b = appendObject(append(b, `,"headers":`...), e.headers.lasts(), appendString)
	b = appendString(append(b, `,"httpMethod":`...), e.httpMethod)
	b = strconv.AppendBool(append(b, `,"isBase64Encoded":`...), e.isBase64Encoded)
	b = appendObject(append(b, `,"multiValueHeaders":`...), ordered[[]string](e.headers), appendStrings)
	b = append(b, `,"multiValueParams":{}`...)
	b = appendObject(append(b, `,"multiValueQueryStringParameters":`...), ordered[[]string](e.query), appendStrings)
	b = append(b, `,"params":{},"pathParams":{}`...)
	b = appendObject(append(b, `,"queryStringParameters":`...), e.query.lasts(), appendString)
	b = appendString(append(b, `,"requestContext":{"httpMethod":`...), e.httpMethod)
	b = appendString(append(b, `,"identity":{"sourceIp":`...), e.sourceIP)
	b = appendString(append(b, `,"userAgent":`...), e.headers.last("User-Agent"))
	b = appendString(append(b, `},"requestId":`...), e.requestID)
	b = appendString(append(b, `,"requestTime":`...), e.requestTime.Format(timeFormat))
	b = strconv.AppendInt(append(b, `,"requestTimeEpoch":`...), e.requestTime.Unix(), 10)
	return append(b, `},"url":""}`...)
}

// eventBody returns the body as it appears in the event, and whether that is
// base64. Only JSON stays text, whatever its parameters and whether or not it
// parses; an empty body counts as base64, whatever its type.
func eventBody(contentType string, body []byte) (text string, isBase64 bool) {
	if isText(contentType, body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// isText reports whether an event carries a body as text.
func isText(contentType string, body []byte) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	isJSON := strings.EqualFold(strings.TrimSpace(mediaType), "application/json")
	return isJSON && len(body) > 0 && utf8.Valid(body)
}

// clientIP returns an address without what means something only on this
// machine: the zone, and the IPv6 notation of an IPv4 address.
func clientIP(client netip.AddrPort) string {
	return client.Addr().Unmap().WithZone("").String()
}
