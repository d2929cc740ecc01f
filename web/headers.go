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

// hiddenHeaders are request headers that no handler sees: they concern the
// connection, or the caller's relation to the platform.
var hiddenHeaders = []string{
	"Expect", "Te", "Trailer", "Upgrade", "Proxy-Authenticate", "Authorization", "Connection", "Content-Md5",
	"Max-Forwards", "Server", "Transfer-Encoding", "Www-Authenticate", "Cookie",
	headerRevision, // which is for the server
}

// headerRule is what to do with a header that a handler returned.
type headerRule int

const (
	pass   headerRule = iota
	remove            // it is dropped silently
	refuse            // it is an error
	rename            // it is sent under another name
)

// remapped is the prefix of renamed headers.
const remapped = "X-Yf-Remapped-"

// responseRules lists the headers that are not simply passed on. README.md
// explains them.
var responseRules = map[string]headerRule{
	// Request headers, or the platform's own (contract §1.3).
	"Host":                   remove,
	"Authorization":          remove,
	"User-Agent":             remove,
	"Connection":             remove,
	"Max-Forwards":           remove,
	"Cookie":                 remove,
	headerRequestID:          remove,
	headerFunctionID:         remove,
	headerVersionID:          remove,
	headerServerTraceID:      remove,
	"X-Content-Type-Options": remove,

	"Proxy-Authenticate": refuse,
	"Transfer-Encoding":  refuse,
	"Via":                refuse,

	"Content-Md5":      rename,
	"Date":             rename,
	"Server":           rename,
	"Www-Authenticate": rename,

	// Connection headers, which are the server's. HTTP/2 has none of them.
	"Http2-Settings":            remove,
	"Keep-Alive":                remove,
	"Proxy-Authentication-Info": remove,
	"Proxy-Connection":          remove,
	"Te":                        remove,
	"Trailer":                   remove,
	"Upgrade":                   remove,

	// What a browser keeps for the whole origin, which all functions and the
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

// proxyPrefixes are prefixes of headers by which a server tells the proxy in
// front of it to send something else, from wherever the proxy can read.
var proxyPrefixes = []string{"X-Accel-", "X-Lighttpd-", "X-Litespeed-", "X-Reproxy-", "X-Sendfile"}

// ruleOf returns the rule for a header that a handler returned, by its
// canonical name.
func ruleOf(name string) headerRule {
	if slices.ContainsFunc(proxyPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
		return remove
	}
	return responseRules[name]
}

// scopeCookies makes browsers send cookies only to the function that has set
// them. Otherwise they would send them with every request to this origin,
// including the console's, until there are more than a server accepts; and with
// requests to other servers of the domain.
func scopeCookies(header http.Header, path string) {
	cookies := header["Set-Cookie"]
	if strings.Contains(path, ";") { // a semicolon ends an attribute
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
// of the request except for the hidden ones, and the platform's, which replace
// the caller's of the same name. A value that is not UTF-8 is read as Latin-1,
// so that no byte is lost.
func requestHeaders(r *http.Request, call *call, client netip.AddrPort) values {
	header := r.Header.Clone()
	for _, name := range hiddenHeaders {
		header.Del(name)
	}
	// net/http keeps these two separate from the headers.
	if r.Host != "" {
		header.Set("Host", r.Host)
	}
	if r.ContentLength > 0 {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}

	header.Set(headerRequestID, call.requestID)
	call.place.tell(header)
	header.Del("X-Real-Remote-Address")
	if client.IsValid() {
		ip := clientIP(client)
		// The caller's list may span several lines, which mean the same as one.
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

// headerText returns a header value as text.
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

// addHeader adds a header that a handler returned. Values outside ASCII are
// sent as UTF-8.
//
// # Errors
//
// The error is the function's and names the header, if the rules refuse it or
// it could not be sent as one header line.
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

// headerError returns the function's error for a header that can't be sent.
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
