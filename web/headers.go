package web

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"vivarium/host"
)

// hiddenHeaders are those of a request that no handler sees: they belong to the
// connection, or to the caller's relation with the platform.
var hiddenHeaders = []string{
	"Expect", "Te", "Trailer", "Upgrade", "Proxy-Authenticate", "Authorization", "Connection", "Content-Md5",
	"Max-Forwards", "Server", "Transfer-Encoding", "Www-Authenticate", "Cookie",
}

// headerRule is what becomes of a header that a handler returned.
type headerRule int

const (
	pass   headerRule = iota
	remove            // it is dropped without a word
	refuse            // it makes the response an error
	rename            // it goes out under a name of its own
)

// remapped precedes the name of a renamed header.
const remapped = "X-Yf-Remapped-"

// responseRules holds the headers that do not simply pass.
var responseRules = map[string]headerRule{
	"Host":                   remove,
	"Authorization":          remove,
	"User-Agent":             remove,
	"Connection":             remove,
	"Max-Forwards":           remove,
	"Cookie":                 remove,
	headerRequestID:          remove,
	headerFunctionID:         remove,
	headerVersionID:          remove,
	"X-Content-Type-Options": remove,

	"Proxy-Authenticate": refuse,
	"Transfer-Encoding":  refuse,
	"Via":                refuse,

	"Content-Md5":      rename,
	"Date":             rename,
	"Server":           rename,
	"Www-Authenticate": rename,
}

// requestHeaders returns the headers that a handler sees, sorted by name: those
// of the request but the hidden ones, and those of the platform, which replace
// what the caller may have sent under their names. A value that is not UTF-8 is
// read as Latin-1, so that none of its bytes is lost.
func requestHeaders(r *http.Request, call *call, client netip.AddrPort) values {
	header := r.Header.Clone()
	for _, name := range hiddenHeaders {
		header.Del(name)
	}
	// The HTTP server keeps these two apart from the headers.
	if r.Host != "" {
		header.Set("Host", r.Host)
	}
	if r.ContentLength > 0 {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}

	header.Set(headerRequestID, call.requestID)
	header.Set(headerTraceID, call.traceID)
	header.Del("X-Real-Remote-Address")
	if client.IsValid() {
		ip := clientIP(client)
		// The caller's list may come in several lines, which mean the same as one.
		forwarded := append(slices.Clone(header["X-Forwarded-For"]), ip)
		header.Set("X-Forwarded-For", strings.Join(forwarded, ", "))
		header.Set("X-Real-Remote-Address", "["+ip+"]:"+strconv.Itoa(int(client.Port())))
	}

	sorted := make(values, 0, len(header))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		texts := make([]string, len(header[name]))
		for i, value := range header[name] {
			texts[i] = headerText(value)
		}
		if len(texts) > 0 {
			sorted = append(sorted, member[[]string]{name, texts})
		}
	}
	return sorted
}

// headerText returns the text of a header's value.
func headerText(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	runes := make([]rune, len(value))
	for i := range len(value) {
		runes[i] = rune(value[i])
	}
	return string(runes)
}

// addHeader adds a header that a handler returned to those that go out. A value
// outside ASCII goes out as UTF-8.
//
// # Errors
//
// The error is the function's and names the header, when the rules refuse it or
// when it could not be sent as one header line.
func addHeader(header http.Header, name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return headerError(name, "is not a valid header name")
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return headerError(name, "has a value with a line break or another control character")
	}
	name = http.CanonicalHeaderKey(name)
	switch responseRules[name] {
	case remove:
		return nil
	case refuse:
		return headerError(name, "can't be set by a function")
	case rename:
		name = http.CanonicalHeaderKey(remapped + name)
	}
	header[name] = append(header[name], value)
	return nil
}

// headerError returns the function's error for a header that can't go out.
func headerError(name, fault string) error {
	const longest = 100 // a name can be as long as a response
	if len(name) > longest {
		name = name[:longest] + "..."
	}
	return &host.FunctionError{
		Type:    proxyIntegrationError,
		Message: "Malformed serverless function response: header " + strconv.Quote(name) + " " + fault,
	}
}
