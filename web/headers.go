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

	"vivarium/host/fault"
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

// responseRules holds the headers that do not simply pass. README.md has them as a
// table, with the reasons.
var responseRules = map[string]headerRule{
	// Of a request, or the platform's own (contract §1.3).
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

	// Of the connection, which is the server's. HTTP/2 has none of them.
	"Http2-Settings":            remove,
	"Keep-Alive":                remove,
	"Proxy-Authentication-Info": remove,
	"Proxy-Connection":          remove,
	"Te":                        remove,
	"Trailer":                   remove,
	"Upgrade":                   remove,

	// What a browser keeps for the whole address, which all functions and the
	// console share, or for the whole host.
	"Accept-Ch":                   remove,
	"Accept-Ch-Lifetime":          remove,
	"Alt-Svc":                     remove,
	"Clear-Site-Data":             remove,
	"Critical-Ch":                 remove,
	"Expect-Ct":                   remove,
	"Nel":                         remove,
	"Origin-Agent-Cluster":        remove,
	"Public-Key-Pins":             remove,
	"Public-Key-Pins-Report-Only": remove,
	"Report-To":                   remove,
	"Reporting-Endpoints":         remove,
	"Sec-Session-Registration":    remove,
	"Secure-Session-Registration": remove,
	"Service-Worker-Allowed":      remove,
	"Set-Login":                   remove,
	"Shared-Storage-Write":        remove,
	"Strict-Transport-Security":   remove,
	"Use-As-Dictionary":           remove,
}

// proxyPrefixes begin the names of headers by which a server tells the proxy before
// it what to send instead, from wherever the proxy can read.
var proxyPrefixes = []string{"X-Accel-", "X-Lighttpd-", "X-Litespeed-", "X-Reproxy-", "X-Sendfile"}

// ruleOf returns what becomes of a header that a handler returned, by its name in
// canonical form.
func ruleOf(name string) headerRule {
	if slices.ContainsFunc(proxyPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
		return remove
	}
	return responseRules[name]
}

// scopeCookies makes a browser send cookies to the function alone that has set
// them. It would otherwise send them with every request for this address, the
// console's, too, until they are more than a server takes; and with those for
// other servers of the domain.
func scopeCookies(header http.Header, path string) {
	cookies := header["Set-Cookie"]
	if strings.Contains(path, ";") { // which ends an attribute
		delete(header, "Set-Cookie")
		return
	}
	for i, cookie := range cookies {
		parts := slices.DeleteFunc(strings.Split(cookie, ";"), func(part string) bool {
			name, _, _ := strings.Cut(part, "=")
			name = strings.TrimSpace(name)
			return strings.EqualFold(name, "Path") || strings.EqualFold(name, "Domain")
		})
		cookies[i] = strings.Join(append(parts, " Path="+path), ";")
	}
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
	switch ruleOf(name) {
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
func headerError(name, rule string) error {
	const longest = 100 // a name can be as long as a response
	if len(name) > longest {
		name = name[:longest] + "..."
	}
	return &fault.FunctionError{
		Type:    proxyIntegrationError,
		Message: "Malformed serverless function response: header " + strconv.Quote(name) + " " + rule,
	}
}
