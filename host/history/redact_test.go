package history

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestRedact_TakesOutValues(t *testing.T) {
	form := base64.StdEncoding.EncodeToString([]byte("user=ann&password=hunter2"))
	inner := base64.StdEncoding.EncodeToString([]byte(`{"api_key":"hunter2"}`))
	for what, text := range map[string]string{
		"a header":                   `{"headers":{"Authorization":"hunter2","Host":"h"}}`,
		"in any case":                `{"AUTHORIZATION":"hunter2"}`,
		"with an underscore":         `{"x_api_key":"hunter2"}`,
		"in camel case":              `{"apiKey":"hunter2"}`,
		"several values":             `{"multiValueHeaders":{"Cookie":["hunter2","hunter2"]},"n":1}`,
		"an object":                  `{"password":{"old":"hunter2","new":["}","hunter2"]},"n":1}`,
		"a number":                   `{"secret":[1,{"hunter2":1}] , "n":1}`,
		"an escaped name":            `{"passw\u006frd":"hunter2"}`,
		"a value with escapes":       `{"password":"\"hunter2\\","n":1}`,
		"spaces":                     "{\n\t\"password\" \t:\r\n \"hunter2\" }",
		"twice":                      `{"password":"hunter2","password":"hunter2"}`,
		"JSON in a string":           `{"payload":"{\"password\":\"hunter2\"}"}`,
		"JSON in JSON in a string":   `{"payload":"{\"payload\":\"{\\\"password\\\":\\\"hunter2\\\"}\"}"}`,
		"JSON in an array":           `["{\"password\":\"hunter2\"}"]`,
		"a string that is JSON":      `"{\"password\":\"hunter2\"}"`,
		"a form":                     `a=1&Password=hunter2&b=%20`,
		"a form with an odd name":    `%70assword=hunter2`,
		"a form in a body":           `{"body":"` + form + `","isBase64Encoded":true}`,
		"JSON in a body":             `{"body":"` + inner + `"}`,
		"text of a form in a body":   `{"body":"x=1&password=hunter2"}`,
		"the function's own name":    `{"card-number":"hunter2"}`,
		"cut in the value":           `{"n":1,"password":"hunter2 and mo`,
		"cut in a list":              `{"n":1,"password":["hunter2","hunter2`,
		"cut in JSON in a string":    `{"payload":"{\"password\":\"hunter2\",\"n`,
		"cut in an escape":           `{"payload":"{\"password\":\"hunter2\",\"n\":\"\u00`,
		"cut in a body":              `{"body":"` + form[:len(form)-1],
		"not quite JSON":             `{"password":"hunter2",}`,
		"with control characters":    "{\"x\":\"\x01\",\"password\":\"hunter2\"}",
		"a line of several":          "{\"password\":\"hunter2\"}\n{\"password\":\"hunter2\"}",
		"a literal without an end":   `{"password":hunter2`,
		"a long way in":              strings.Repeat(`{"a":[`, 1000) + `{"token":1,"id_token":"hunter2"}`,
		"a name beside invalid text": "{\"x\":\"\xff\",\"password\":\"hunter2\"}",
	} {
		r := redactor{names: newNames(usualNames()), own: newNames([]string{"Card_Number"})}
		got := string(r.redact([]byte(text)))
		plain := got
		for _, part := range strings.FieldsFunc(got, func(c rune) bool { return c == '"' }) {
			if b, err := base64.StdEncoding.DecodeString(part); err == nil {
				plain += string(b)
			}
		}
		if strings.Contains(plain, "hunter2") || len(r.take()) == 0 {
			t.Errorf("%s: got %.200s", what, plain)
		}
		if json.Valid([]byte(text)) != json.Valid([]byte(got)) {
			t.Errorf("%s: what was JSON is not any more, or is now: %.200s", what, got)
		}
	}
}

// What has nothing to hide stays as it is, to the byte.
func TestRedact_LeavesTheRest(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"a": 1.0, "b":"\u0041"}`, `"password"`, `["password","hunter2"]`, `{"a":"password"}`, `{"passwords":"x"}`,
		`{"body":"eyJhIjoxfQ=="}`, `{"payload":"{\"a\":1}"}`, "a=1&b=2", "password", "\xff\xfe", "{", `{"`, `{"\`, `{"a":"{\"`, "[[[[",
		`{"":1}`, `{"a":}`, "\"", `password: hunter2`, strings.Repeat("[", 100_000),
	} {
		r := redactor{names: newNames(usualNames())}
		if got := string(r.redact([]byte(text))); got != text || r.take() != nil {
			t.Errorf("%.80q became %.80q", text, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, seed := range []string{
		`{"password":"x","body":"cGFzc3dvcmQ9eA=="}`, `{"a":"{\"password\":[1,{}]}"`, "password=1&b", `{"password"`, `["\u00`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		r := redactor{names: newNames(usualNames())}
		once := r.redact(text)
		if string(text) != before {
			t.Fatal("the text itself was changed")
		}
		if json.Valid(text) && !json.Valid(once) {
			t.Fatalf("%q became %q", text, once)
		}
		again := redactor{names: newNames(usualNames())}
		if twice := again.redact(once); json.Valid(text) && string(twice) != string(once) {
			t.Fatalf("%q became %q, and then %q", text, once, twice)
		}
	})
}

// BenchmarkRedact is the event of a small call, and a long one.
func BenchmarkRedact(b *testing.B) {
	for what, text := range map[string]string{
		"1KiB":   `{"body":"","headers":{"Accept":"*/*","Host":"h","User-Agent":"curl"},"x":"` + strings.Repeat("x", 900) + `"}`,
		"64KiB":  `{"body":"` + strings.Repeat(`{\"a\":1},`, 7000) + `"}`,
		"quotes": `[` + strings.Repeat(`"",`, 20_000) + `""]`,
	} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			r := redactor{names: newNames(usualNames())}
			for b.Loop() {
				r.redact([]byte(text))
			}
		})
	}
}
