package web

import (
	"encoding/json"
	"testing"
)

func FuzzString(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\/\b\f\n\r\t\x00\x1f\x7f<>&\u2028ж😀\ufffd")
	f.Add("a\xffb\xc3\x28\xed\xa0\x80\xf0\x9f")
	f.Fuzz(func(t *testing.T, s string) {
		text := appendString(nil, s)
		var got string
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%q: %s: %v", s, text, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("got %q by way of %s, want %q", got, text, want)
		}
	})
}
