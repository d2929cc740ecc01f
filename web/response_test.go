package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http/httpguts"

	"vivarium/host/run"
)

// noWork is the Work for no one's turn.
func noWork(int) {}

func resultOf(text string) *run.Result { return &run.Result{Body: []byte(text)} }

// interpreted returns the response that a result, as JSON text, means.
func interpreted(text string, head bool) (*response, error) {
	return interpret(resultOf(text), head, noWork)
}

const plain = "text/plain; charset=utf-8"

func TestResponse_Interprets(t *testing.T) {
	for text, want := range map[string]response{
		`{}`:                  {200, http.Header{"Content-Type": {plain}}, []byte{}},
		`{"statusCode": 404}`: {404, http.Header{"Content-Type": {plain}}, []byte{}},
		`{"statusCode": 200, "body": "\u0416\ud83d\ude00 <", "StatusCode": 500, "x": null}`: {
			200, http.Header{"Content-Type": {plain}}, []byte("Ж😀 <")},
		`{"statusCode": 500, "statusCode": 599}`: {599, http.Header{"Content-Type": {plain}}, []byte{}},
		`{"body": "/wA=", "isBase64Encoded": true}`: {
			200, http.Header{"Content-Type": {"application/octet-stream"}}, []byte("\xff\x00")},
		`{"body": "/wA=", "isBase64Encoded": false}`: {200, http.Header{"Content-Type": {plain}}, []byte("/wA=")},
		`{"headers": {"content-type": "a/b", "x-a": "1", "X-A": "2", "X-Empty": "", "X-Uni": "ж"}}`: {
			200, http.Header{"Content-Type": {"a/b"}, "X-A": {"2"}, "X-Empty": {""}, "X-Uni": {"ж"}}, []byte{}},
		`{"headers": {"Set-Cookie": "lost", "X-B": "kept"}, "multiValueHeaders": {"set-cookie": ["a=1", "b=2"], "X-None": []}}`: {
			200, http.Header{"Content-Type": {plain}, "Set-Cookie": {"a=1", "b=2"}, "X-B": {"kept"}}, []byte{}},
		`{"body": {"a": ["\ud83d", "<"]}}`: {200, http.Header{"Content-Type": {"application/json"}}, []byte(`{"a": ["\ud83d", "<"]}`)},
		`{"body": [], "headers": {"content-type": "a/b"}, "isBase64Encoded": false}`: {
			200, http.Header{"Content-Type": {"a/b"}}, []byte("[]")},
		`{"headers": {"X-Accel-Redirect": "/x", "x-sendfile": "/x", "Clear-Site-Data": "*", "KEEP-alive": "1", "te": "x", "Set-Cookie": "a=b"}}`: {
			200, http.Header{"Content-Type": {plain}, "Set-Cookie": {"a=b"}}, []byte{}},
		`{"body": "abc", "headers": {"content-length": "3"}}`: {
			200, http.Header{"Content-Type": {plain}, "Content-Length": {"3"}}, []byte("abc")},
		`{"body": "abc", "multiValueHeaders": {"Content-Length": ["3", "3"]}}`: {
			200, http.Header{"Content-Type": {plain}, "Content-Length": {"3"}}, []byte("abc")},
	} {
		got, err := interpreted(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, *got, cmp.AllowUnexported(response{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestResponse_Malformed(t *testing.T) {
	const (
		none   = "the result is not a dict; "
		status = "statusCode is not an integer from 200 to 599; "
		body   = "body is not a string; "
		boxed  = "isBase64Encoded is not a boolean; "
		coded  = "body is not valid base64; "
		single = "headers is not a dict of strings; "
		multi  = "multiValueHeaders is not a dict of lists of strings; "
	)
	for text, fault := range map[string]string{
		`"text"`: none, `null`: none, `[]`: none, `1`: none, `true`: none, ``: none, `{"x": NaN}`: none, `{} {}`: none,
		"{\"body\": \"\xff\"}":  none,
		`{"statusCode": 200.0}`: status, `{"statusCode": 2e2}`: status, `{"statusCode": "200"}`: status,
		`{"statusCode": true}`: status, `{"statusCode": null}`: status, `{"statusCode": 99}`: status,
		`{"statusCode": 600}`: status, `{"statusCode": -200}`: status, `{"statusCode": 100000000000000000000}`: status,
		`{"statusCode": 101}`: "statusCode is an interim one, which can't end a response; ",
		`{"body": null}`:      body,
		`{"body": 1}`:         body,
		`{"body": true}`:      body,
		`{"body": {"a": 1}, "isBase64Encoded": true}`: body,
		`{"body": "\ud83d"}`:                          "body has a lone surrogate, which UTF-8 can't express; ",
		`{"isBase64Encoded": 1}`:                      boxed,
		`{"isBase64Encoded": null}`:                   boxed,
		`{"body": "é", "isBase64Encoded": true}`:      coded,
		`{"body": "YQ", "isBase64Encoded": true}`:     coded,
		`{"headers": null}`:                           single,
		`{"headers": []}`:                             single,
		`{"headers": {"A": 1}}`:                       single,
		`{"headers": {"A": null}}`:                    single,
		`{"headers": {"A": "\udc00"}}`:                single,
		`{"multiValueHeaders": null}`:                 multi,
		`{"multiValueHeaders": {"A": "b"}}`:           multi,
		`{"multiValueHeaders": {"A": null}}`:          multi,
		`{"multiValueHeaders": {"A": ["b", null]}}`:   multi,
		`{"multiValueHeaders": {"A": ["b", 1]}}`:      multi,
	} {
		_, err := interpreted(text, false)
		if e, ok := errors.AsType[*malformedError](err); !ok || !strings.HasPrefix(e.fault, fault) || string(e.payload) != text {
			t.Errorf("%s: got %v, want %s", text, err, fault)
		}
	}
}

func TestResponse_MalformedAnswer(t *testing.T) {
	a := do(t, "GET", start(t, Config{}, returns(`["<b>", 1]`)).url+"/hello", "")
	a.wantFunctionError(t, 502, proxyIntegrationError)
	const want = `{"errorMessage":"Malformed serverless function response: not a valid json",` +
		`"errorType":"ProxyIntegrationError","payload":"[\"<b>\", 1]"}`
	if a.text != want {
		t.Errorf("got  %s\nwant %s", a.text, want)
	}
	a.wantHeader(t, "X-Function-Version-Id", version.ID)
}

func TestResponse_ErrorsAreBounded(t *testing.T) {
	for _, result := range []string{
		`["` + strings.Repeat(`\"`, 1_800_000) + `"]`, `["` + strings.Repeat(`ж`, 1_800_000) + `"]`, `["` + strings.Repeat(`\u0001`, 600_000) + `"]`,
	} {
		a := do(t, "GET", start(t, Config{}, returns(result)).url+"/hello", "")
		a.wantFunctionError(t, 502, proxyIntegrationError)
		if len(a.text) > 6*maxPayload+200 || !strings.HasSuffix(a.text, `..."}`) {
			t.Errorf("%.20s: an answer of %d bytes: %.200s", result, len(a.text), a.text)
		}
	}
}

// Browsers send cookies to the function that set them, and nowhere else.
func TestResponse_CookiesAreTheFunctionsOwn(t *testing.T) {
	result := `{"multiValueHeaders": {"Set-Cookie": ["a=1", "b=2; path=/; Domain=example.com; Secure", "c=3;PATH = /console;HttpOnly", ""]}}`
	for _, test := range []struct {
		config Config
		path   string
		want   []string
	}{
		{Config{Console: http.NotFoundHandler()}, "/hello", []string{
			"a=1; Path=/hello", "b=2; Secure; Path=/hello", "c=3;HttpOnly; Path=/hello", "; Path=/hello"}},
		{Config{Console: http.NotFoundHandler()}, "/he%6clo", []string{
			"a=1; Path=/he%6clo", "b=2; Secure; Path=/he%6clo", "c=3;HttpOnly; Path=/he%6clo", "; Path=/he%6clo"}},
		{Config{}, "/hello", []string{"a=1", "b=2; path=/; Domain=example.com; Secure", "c=3;PATH = /console;HttpOnly", ""}},
	} {
		a := do(t, "GET", start(t, test.config, returns(result)).url+test.path, "")
		a.wantStatus(t, 200)
		a.wantHeader(t, "Set-Cookie", test.want...)
	}
	header := http.Header{"Set-Cookie": {"a=1"}}
	if scopeCookies(header, "/hello; Domain=com"); len(header) != 0 {
		t.Errorf("a path that would be an attribute: got %v", header)
	}
}

func TestResponse_HeadersThatDoNotSimplyPass(t *testing.T) {
	s := start(t, Config{Version: "1"}, returns(`{"headers": {
		"host": "x", "AUTHORIZATION": "x", "User-Agent": "x", "Connection": "close", "Max-Forwards": "x", "Cookie": "x",
		"X-Request-Id": "x", "X-Function-Id": "x", "X-Function-Version-Id": "x", "X-Content-Type-Options": "x",
		"Content-MD5": "m", "date": "d", "server": "s", "WWW-Authenticate": "w"}}`))
	a := do(t, "GET", s.url+"/hello", "")
	a.wantStatus(t, 200)
	for _, name := range []string{"Host", "Authorization", "User-Agent", "Connection", "Max-Forwards", "Cookie",
		"Content-Md5", "Www-Authenticate"} {
		a.wantHeader(t, name)
	}
	a.wantHeader(t, "Server", "Vivarium/1")
	a.wantHeader(t, "X-Content-Type-Options", "nosniff")
	a.wantHeader(t, "X-Function-Id", version.FunctionID)
	a.wantHeader(t, "X-Yf-Remapped-Content-Md5", "m")
	a.wantHeader(t, "X-Yf-Remapped-Date", "d")
	a.wantHeader(t, "X-Yf-Remapped-Server", "s")
	a.wantHeader(t, "X-Yf-Remapped-Www-Authenticate", "w")
	if a.Close {
		t.Error("the handler closed the connection")
	}
}

func TestResponse_HeadersThatCanNotGoOut(t *testing.T) {
	for headers, named := range map[string]string{
		`{"proxy-authenticate": "x"}`:               `header "Proxy-Authenticate" can't be set by a function`,
		`{"Transfer-Encoding": "chunked"}`:          `header "Transfer-Encoding" can't be set by a function`,
		`{"Via": "x"}`:                              `header "Via" can't be set by a function`,
		`{"X-A": "a\r\nSet-Cookie: b"}`:             `header "X-A" has a value with`,
		`{"X-A": "a\nb"}`:                           `header "X-A" has a value with`,
		`{"X-A": "a\u0000"}`:                        `header "X-A" has a value with`,
		`{"Cookie": "a\rb"}`:                        `header "Cookie" has a value with`,
		`{"X A": "a"}`:                              `header "X A" is not a valid header name`,
		`{"": "a"}`:                                 `header "" is not a valid header name`,
		`{"X-A:": "a"}`:                             `header "X-A:" is not a valid header name`,
		`{"Trailer:X-A": "a"}`:                      `header "Trailer:X-A" is not a valid header name`,
		`{"X\r\nEvil": "a"}`:                        `header "X\r\nEvil" is not a valid header name`,
		`{"Ж": "a"}`:                                `header "Ж" is not a valid header name`,
		`{"Content-Length": "2"}`:                   `header "Content-Length" does not match the length of the body, 3`,
		`{"Content-Length": "03"}`:                  `header "Content-Length" does not match the length of the body, 3`,
		`{"Content-Length": "+3"}`:                  `header "Content-Length" does not match the length of the body, 3`,
		`{"Content-Length": ""}`:                    `header "Content-Length" does not match the length of the body, 3`,
		`{"` + strings.Repeat("é", 1000) + `": ""}`: `header "` + strings.Repeat("é", 50) + `..." is not`,
	} {
		s := start(t, Config{}, returns(`{"body": "abc", "headers": `+headers+`}`))
		a := do(t, "GET", s.url+"/hello", "")
		if message := a.wantFunctionError(t, 502, proxyIntegrationError); !strings.Contains(message, named) {
			t.Errorf("%s: got %q, want %q", headers, message, named)
		}
		for name := range a.Header {
			switch name {
			case "Content-Length", "Content-Type", "Date", "Server", "X-Content-Type-Options", headerFunctionError,
				headerFunctionID, headerVersionID, headerRequestID, headerServerTraceID:
			default:
				t.Errorf("%s: header %s reached the caller", headers, name)
			}
		}
	}
}

func TestResponse_LengthOfWhatAGetWouldBring(t *testing.T) {
	s := start(t, Config{}, returns(`{"headers": {"Content-Length": "1000"}}`))
	a := do(t, "HEAD", s.url+"/hello", "")
	a.wantStatus(t, 200)
	a.wantHeader(t, "Content-Length", "1000")
	do(t, "GET", s.url+"/hello", "").wantFunctionError(t, 502, proxyIntegrationError)
}

func TestResponse_StatusesWithoutBody(t *testing.T) {
	for status, length := range map[string][]string{"204": nil, "205": {"0"}, "304": nil} {
		s := start(t, Config{}, returns(`{"statusCode": `+status+`, "body": "abc", "headers": {"Content-Length": "3", "ETag": "e"}}`))
		for range 2 { // a stray body would be taken for the second response
			a := exchange(t, s.addr, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(a.Status, status) || a.text != "" {
				t.Errorf("got %s %q", a.Status, a.text)
			}
			a.wantHeader(t, "Content-Length", length...)
			a.wantHeader(t, "Content-Type")
			a.wantHeader(t, "Etag", "e")
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add(`{"statusCode": 200, "headers": {"A": "b"}, "multiValueHeaders": {"C": ["d"]}, "body": "e"}`, false)
	f.Add(`{"body": "\ud83d\ude00\ud83d", "headers": {"content-length": "7"}}`, true)
	f.Add(`{"body": "YQ==", "isBase64Encoded": true}`, true)
	f.Add(`{"\u`, false)
	f.Fuzz(func(t *testing.T, text string, head bool) {
		answer, err := interpreted(text, head)
		if err != nil {
			f := refusalOf(err, "")
			if f.status != http.StatusBadGateway || f.ours || !json.Valid(f.body()) {
				t.Errorf("error %v: got %+v, want the function's fault", err, f)
			}
			return
		}
		if answer.status < 200 || answer.status > 599 {
			t.Errorf("status %d", answer.status)
		}
		for name, values := range answer.header {
			if !httpguts.ValidHeaderFieldName(name) || http.CanonicalHeaderKey(name) != name || ruleOf(name) != pass {
				t.Errorf("header name %q", name)
			}
			for _, value := range values {
				if !httpguts.ValidHeaderFieldValue(value) {
					t.Errorf("header %s: value %q", name, value)
				}
			}
		}
	})
}

func BenchmarkInterpret_LargestBody(b *testing.B) {
	text := `{"statusCode": 200, "body": "` + strings.Repeat(`\u0416 x`, DefaultMaxBytes/8-10) + `"}`
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := interpreted(text, false); err != nil {
			b.Fatal(err)
		}
	}
}
