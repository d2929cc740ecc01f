package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonTexts are texts at the edges of JSON.
var jsonTexts = []string{
	``, ` `, `{}`, ` { } `, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}}`, `{} {}`, `{`, `{"a":1`, `{"a":[1`,
	`[]`, `null`, `"a"`, `{"a":nul}`, `{"a":nullx}`, `{"a":true,"b":false,"c":null}`, `{"a":tru`, "{\"a\"\t:\r\n1}", "{\"a\":\v1}",
	`{"a":0}`, `{"a":-0}`, `{"a":00}`, `{"a":-}`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`, `{"a":1.5e3}`, `{"a":1e}`, `{"a":1E+}`, `{"a":1e-5}`, `{"a":01}`, `{"a":1_0}`,
	`{"a":NaN}`, `{"a":-Infinity}`, `{"a":[1,[2,{"b":[]}],{}]}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a":{"b":[1,2}}`,
	`{"a":"\"\\\/\b\f\n\r\t"}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\u00e9\uD83D\uDE00"}`, `{"a":"\ud83d"}`, `{"a":"\ude00"}`,
	`{"a":"\ud83dx"}`, `{"a":"\ud83d\n"}`, `{"a":"\ud83d\u0041"}`, `{"\u0061":1,"a":2}`, `{"a":"`, `{"a":"\`, `{"a":"\u`, `{"a":"é😀"}`,
	"{\"a\":\"\x00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\xff\"}", "\x00", "{\"a\":1\x00}",
	`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`,
	`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	`{"a":` + strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20001),
	`{"a":"` + strings.Repeat("é", 50000) + `","b":"` + strings.Repeat(`\u0000`, 50000) + `"}`,
	`{"a":[` + strings.Repeat("1, ", 50000) + "1]}",
}

// FuzzJSONText compares the reader of responses with encoding/json, which does
// the same but can't pause in the middle.
func FuzzJSONText(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		valid := utf8.Valid(text) && json.Unmarshal(text, &want) == nil && want != nil
		got := map[string][]byte{}
		lone := false
		ok := validUTF8(text, noWork) && scanJSON(text, noWork).object(func(name, value []byte) bool {
			key, ok := unquote(name, noWork)
			lone = lone || !ok
			got[string(key)] = value
			return true
		})
		if ok != valid {
			t.Fatalf("%.200q: got %v, want %v", text, ok, valid)
		}
		if !valid || lone {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%.200q: got %d members, want %d", text, len(got), len(want))
		}
		for name, raw := range want {
			if !bytes.Equal(got[name], raw) {
				t.Fatalf("%.200q: %q: got %q, want %q", text, name, got[name], raw)
			}
			var s string
			if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
				continue
			}
			unquoted, ok := unquote(raw, noWork)
			if ok && string(unquoted) != s || !ok && !strings.Contains(s, "\ufffd") {
				t.Fatalf("%.200q: got %q, %v, want %q", raw, unquoted, ok, s)
			}
		}
	})
}

func TestDecodeBase64(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("\xfb\xff text"), 10_000))
	for _, text := range []string{
		"", "YQ==", "YQ=", "YQ", "Y", "YQ==YQ==", "Y\nQ\r\n==", "é", "+/+/", "-_-_", "YQ==\n", "=", "====", "YR==",
		long, long + "=", long + "YQ==", long[:textWork-4] + "YQ==" + long, long[:100] + "\n" + long[100:],
	} {
		want, err := base64.StdEncoding.DecodeString(text)
		got, ok := decodeBase64([]byte(text), noWork)
		if ok != (err == nil) || ok && !bytes.Equal(got, want) {
			t.Errorf("%.50q of %d: got %.50q, %v, want %.50q, %v", text, len(text), got, ok, want, err)
		}
	}
}

// The work of reading a response is reported as it proceeds, whatever the
// response consists of.
func TestResponse_TheWorkIsReported(t *testing.T) {
	const size = 3 << 20
	many := func(text string) string { return strings.Repeat(text, size/len(text)) }
	for _, text := range []string{
		`{"body": "` + many("x") + `"}`, `{"body": "` + many(`\u0000`) + `"}`, `{"body": "` + many("é") + `"}`,
		`{"isBase64Encoded": true, "body": "` + many("YWFh") + `"}`, `{"x": [` + many("1,") + `1]}`, `{"x": ` + many(" ") + `1}`,
		`{` + many(`"x":1,`) + `"y":1}`, `{"x": 1` + many("0") + `}`, `{"headers": {` + many(`"x": "",`) + `"y": ""}}`,
		`{"multiValueHeaders": {"x": [` + many(`"",`) + `""]}}`, `{"multiValueHeaders": {` + many(`"x": [],`) + `"y": []}}`,
	} {
		reports, most, done := 0, 0, 0
		_, err := interpret(resultOf(text), false, func(n int) {
			reports, done, most = reports+1, done+n, max(most, n)
		})
		if reports < size/textWork || done < size || most > 16*textWork {
			t.Errorf("%.40s: got %d reports, %d in all, %d at most", text, reports, done, most)
		}
		if err != nil && !strings.Contains(text, "eaders") {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

func TestResponse_HeadersAreBounded(t *testing.T) {
	for _, count := range []int{5000, 10_000, 230_000} {
		var text strings.Builder
		text.WriteString(`{"headers": {"x": "y"`)
		for i := range count {
			fmt.Fprintf(&text, `,"h%d":""`, i)
		}
		text.WriteString("}}")
		a := do(t, "GET", start(t, Config{}, returns(text.String())).url+"/hello", "")
		if count*(fieldBytes+5) < maxResponseHeaders {
			a.wantStatus(t, 200)
			continue
		}
		a.wantFunctionError(t, 502, "ResponseTooLarge")
		if !strings.Contains(a.text, "262144 bytes") {
			t.Errorf("got %s, want the limit", a.text)
		}
	}
}
