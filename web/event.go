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

// timeFormat is that of requestTime: the Common Log Format's.
const timeFormat = "02/Jan/2006:15:04:05 -0700"

// event is what a handler receives in HTTP mode, but for the members that only
// an API gateway fills: on a direct call those are empty.
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

// encode returns the event as a JSON document. The order of the members is the
// one that a handler that prints the event shows. Written by hand, since the
// body can be megabytes and encoding/json would go over it several times, and all
// at once.
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

// eventBody returns the body as the event carries it, and whether that is
// base64. Only JSON stays text, whatever its parameters say and whether or not
// it parses; an empty body counts as base64, whatever its type.
func eventBody(contentType string, body []byte) (text string, isBase64 bool) {
	if isText(contentType, body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// isText says if an event carries a body as text.
func isText(contentType string, body []byte) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	isJSON := strings.EqualFold(strings.TrimSpace(mediaType), "application/json")
	return isJSON && len(body) > 0 && utf8.Valid(body)
}

// clientIP returns the address without what only means something on this
// machine: the zone, and the IPv6 notation of an IPv4 address.
func clientIP(client netip.AddrPort) string {
	return client.Addr().Unmap().WithZone("").String()
}
