package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// received decodes the event that a handler would receive.
func received(t testing.TB, r *http.Request, body []byte) map[string]any {
	t.Helper()
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	text := newEvent(r, newCall(r), query, body).encode(noWork)
	var event map[string]any
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatalf("event %s: %v", text, err)
	}
	return event
}

// lists converts lists of strings to the form in which JSON decodes them.
func lists(of map[string][]string) map[string]any {
	decoded := map[string]any{}
	for name, list := range of {
		values := []any{}
		for _, value := range list {
			values = append(values, value)
		}
		decoded[name] = values
	}
	return decoded
}

func TestEvent_IsTheDocumentedOne(t *testing.T) {
	want, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"hello": "world"}`)
	r := httptest.NewRequest("POST", "https://functions.yandexcloud.net/d4eo2faf62?param=one", bytes.NewReader(body))
	r.RemoteAddr = "109.252.148.209:2816"
	r.Header = http.Header{
		"Accept": {"*/*"}, "Content-Type": {"application/json"}, "User-Agent": {"curl/7.64.1"},
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	text := newEvent(r, &call{
		requestID: "6e8356f9-489b-4c7b-8ba6-c8cd74f25455",
		place: place{span: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID(uuid.MustParse("e9fe9b05-c1aa-4fb8-94d8-a514fd6f3ff7")), SpanID: trace.SpanID{1: 0xab}, TraceFlags: trace.FlagsSampled,
		})},
		received: time.Unix(1657713539, 198e6),
	}, query, body).encode(noWork)
	var got bytes.Buffer
	if err := json.Indent(&got, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()+"\n"); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestEvent_Body(t *testing.T) {
	for name, test := range map[string]struct {
		contentType, body string
		wantText          bool
	}{
		"JSON is text":                      {"application/json", `{"a": "<é&>"}`, true},
		"malformed JSON is text":            {"application/json", `{"a": `, true},
		"JSON with a charset is text":       {"application/json; charset=utf-8", `[]`, true},
		"the type's case does not matter":   {"Application/JSON ;x", `[]`, true},
		"JSON that is not UTF-8 is base64":  {"application/json", "\"\xff\"", false},
		"empty JSON is base64":              {"application/json", "", false},
		"a form is base64":                  {"application/x-www-form-urlencoded", "hello, world!", false},
		"plain text is base64":              {"text/plain", "hello", false},
		"a JSON dialect is base64":          {"application/problem+json", "{}", false},
		"an unknown type is base64":         {"", "{}", false},
		"nothing at all is base64":          {"", "", false},
		"a type like application/jsonp too": {"application/jsonp", "{}", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/hello", nil)
			r.Header.Set("Content-Type", test.contentType)
			event := received(t, r, []byte(test.body))
			want := test.body
			if !test.wantText {
				want = base64.StdEncoding.EncodeToString([]byte(test.body))
			}
			if event["body"] != want || event["isBase64Encoded"] != !test.wantText {
				t.Errorf("got body %q, isBase64Encoded %v", event["body"], event["isBase64Encoded"])
			}
		})
	}
}

func TestEvent_Query(t *testing.T) {
	for query, want := range map[string]map[string][]string{
		"":                            {},
		"a=1&b=2&a=3":                 {"a": {"1", "3"}, "b": {"2"}},
		"a&=b&&c=&":                   {"a": {""}, "": {"b"}, "c": {""}},
		"a=b=c;d":                     {"a": {"b=c;d"}},
		"a+b=%20+%26":                 {"a b": {"  &"}},
		"n=%D0%B6&bad=x%ff%fey":       {"n": {"ж"}, "bad": {"x\ufffdy"}},
		"tag=$latest&integration=raw": {"tag": {"$latest"}, "integration": {"raw"}},
	} {
		event := received(t, httptest.NewRequest("GET", "/hello?"+query, nil), nil)
		if diff := cmp.Diff(lists(want), event["multiValueQueryStringParameters"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
		for name, values := range want {
			got := event["queryStringParameters"].(map[string]any)[name]
			if got != values[len(values)-1] {
				t.Errorf("%s: %s: got %q, want the last value", query, name, got)
			}
		}
	}
}

func TestEvent_QueryKeepsItsOrder(t *testing.T) {
	query, err := parseQuery("z=1&a=2&z=3&m=4")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/hello", nil)
	text := string(newEvent(r, newCall(r), query, nil).encode(noWork))
	if !strings.Contains(text, `"queryStringParameters":{"z":"3","a":"2","m":"4"}`) {
		t.Errorf("got %s, want the parameters as sent", text)
	}
}

func TestEvent_HidesHeadersOfTheConnection(t *testing.T) {
	s := start(t, Config{}, echoes())
	var request strings.Builder
	request.WriteString("POST /hello HTTP/1.1\r\nHost: example.org:81\r\nContent-Length: 2\r\n")
	for _, name := range hiddenHeaders {
		if name != "Transfer-Encoding" && name != "Expect" { // these mean something to the HTTP server
			request.WriteString(name + ": x\r\n")
		}
	}
	request.WriteString("X-Two: 1\r\nx-two: 2\r\nX-Latin: caf\xe9\r\nX-Utf: café\r\nX-Request-Id: r\r\nX-Trace-Id: t\r\n" +
		"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Real-Remote-Address: [6.6.6.6]:6\r\n\r\nab")

	var event struct {
		Headers           map[string]string
		MultiValueHeaders map[string][]string
		RequestContext    struct {
			Identity struct{ SourceIP, UserAgent string }
		}
	}
	connection := dial(t, s.addr, request.String())
	if err := json.Unmarshal([]byte(receive(t, connection).text), &event); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{headerRequestID, headerTraceID} {
		if len(event.Headers[name]) != 36 {
			t.Errorf("%s: got %q, want a UUID of ours", name, event.Headers[name])
		}
		delete(event.Headers, name)
		delete(event.MultiValueHeaders, name)
	}
	want := map[string]string{
		"Content-Length": "2", "Host": "example.org:81", "X-Two": "2", "X-Latin": "café", "X-Utf": "café",
		"X-Forwarded-For":       "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1",
		"X-Real-Remote-Address": strings.Replace("["+connection.LocalAddr().String(), ":", "]:", 1),
	}
	if diff := cmp.Diff(want, event.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	multi := map[string][]string{}
	for name, value := range want {
		multi[name] = []string{value}
	}
	multi["X-Two"] = []string{"1", "2"}
	if diff := cmp.Diff(multi, event.MultiValueHeaders); diff != "" {
		t.Errorf("multiValueHeaders (-want +got):\n%s", diff)
	}
	if got := event.RequestContext.Identity; got.SourceIP != "127.0.0.1" || got.UserAgent != "" {
		t.Errorf("identity: got %+v", got)
	}
}

func TestEvent_ChunkedBodyHasNoLength(t *testing.T) {
	s := start(t, Config{}, echoes())
	a := exchange(t, s.addr, "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
	if strings.Contains(a.text, "Transfer-Encoding") || strings.Contains(a.text, "Content-Length") {
		t.Errorf("got %s", a.text)
	}
	if !strings.Contains(a.text, `"body":"YWI="`) {
		t.Errorf("got %s, want the body put together", a.text)
	}
}

func TestEvent_ClientAddress(t *testing.T) {
	for remote, want := range map[string][2]string{
		"1.2.3.4:5":          {"1.2.3.4", "[1.2.3.4]:5"},
		"[::ffff:1.2.3.4]:5": {"1.2.3.4", "[1.2.3.4]:5"},
		"[2001:db8::1]:5":    {"2001:db8::1", "[2001:db8::1]:5"},
		"[fe80::1%eth0]:5":   {"fe80::1", "[fe80::1]:5"},
		"@":                  {"", ""}, // a Unix socket
	} {
		r := httptest.NewRequest("GET", "/hello", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Real-Remote-Address", "[6.6.6.6]:6")
		event := received(t, r, nil)
		source := event["requestContext"].(map[string]any)["identity"].(map[string]any)["sourceIp"]
		address, _ := event["headers"].(map[string]any)["X-Real-Remote-Address"].(string)
		if source != want[0] || address != want[1] {
			t.Errorf("%s: got %q and %q, want %q", remote, source, address, want)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("application/json", "v", "a=1&b=%20", []byte(`{"a": 1}`))
	f.Add("text/plain", "\xff", "a=%ff;b&&=", []byte("\x00\xff"))
	f.Add("application/json ; x", "<&>\u2028", "%", []byte(nil))
	f.Fuzz(func(t *testing.T, contentType, value, query string, body []byte) {
		r := httptest.NewRequest("POST", "/hello", nil)
		r.Header["Content-Type"] = []string{contentType}
		r.Header["X-Value"] = []string{value}
		if _, err := parseQuery(query); err == nil {
			r.URL.RawQuery = query
		}
		event := received(t, r, body)
		text := event["body"].(string)
		got := []byte(text)
		if event["isBase64Encoded"].(bool) {
			var err error
			if got, err = base64.StdEncoding.DecodeString(text); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Errorf("body: got %q, want %q", got, body)
		}
		if got := event["headers"].(map[string]any)["X-Value"]; got != headerText(value) {
			t.Errorf("header: got %q, want %q", got, headerText(value))
		}
	})
}

func BenchmarkEvent_LargestBody(b *testing.B) {
	body := bytes.Repeat([]byte(`{"a": 1}`), DefaultMaxBytes/8)
	r := httptest.NewRequest("POST", "/hello", nil)
	r.Header.Set("Content-Type", "application/json")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		newEvent(r, newCall(r), nil, body).encode(noWork)
	}
}
