package web

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"vivarium/web/strictjson"
)

// FuzzPlayRequest sends arbitrary bodies to the playground, up to the point
// where they would run: each is accepted within the limits, or is the caller's
// fault.
func FuzzPlayRequest(f *testing.F) {
	f.Add(`{"files": {"main.py": "def handler(event, context): pass"}}`)
	f.Add(`{"files": {"a/b.py": ""}, "mode": "raw", "event": {"x": [1, 2.5e3, null]}, "environment": {"K": "v"}, "memoryMB": 256}`)
	f.Add(`{"files": {"m.py": ""}, "request": {"method": "put", "query": "?a=%20&b", "headers": {"host": "x", "x-y": "z"}, "body": "\ud800"}}`)
	f.Add(`{"files": {"../a": "", "a": "", "a/b": ""}, "timeoutMS": 1e3}`)
	p, err := NewPlay(openPlay, triesFunc(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", PlayPath+"/run", nil)
		call := newCall(r)
		var q playRequest
		err := strictjson.Decode([]byte(body), &q)
		if err == nil {
			var try *playTry
			if try, err = p.newTry(r, call, &q); err == nil {
				if n := len(try.files); n < 1 || n > maxPlayFiles {
					t.Errorf("%d files", n)
				}
				if !try.inv.Raw && !json.Valid(try.inv.Event(noWork)) {
					t.Errorf("the event is no JSON: %s", try.inv.Event(noWork))
				}
				return
			}
		}
		if fault := p.refusalOf(r, call, err); fault.status < 400 || fault.status > 499 {
			t.Errorf("%v is answered with %d", err, fault.status)
		}
	})
}

// FuzzUserFrame looks for a place in arbitrary stack traces: it is in a file of
// the caller's, or there is none.
func FuzzUserFrame(f *testing.F) {
	f.Add("  File \"/function/code/main.py\", line 2, in handler\n    1/0\n", "  File \"/usr/lib/json.py\", line 3", "main.py", "a\nb")
	f.Add("", "  File \"/function/code/a\"b.py\", line 1\n    if\n      ^\n", "a\"b.py", "if")
	f.Add("  File \"/function/code/main.py\", line 99999999999999999999", "", "main.py", "")
	f.Fuzz(func(t *testing.T, outer, inner, name, source string) {
		file, line := userFrame([]string{outer, inner}, map[string]string{name: source})
		switch {
		case file == "" && line == 0:
		case file != name, line < 1, line > strings.Count(source, "\n")+2:
			t.Errorf("got %q, line %d", file, line)
		case !strings.Contains(outer+inner, codeFolder+name+`", line `):
			t.Errorf("%s:%d is in neither %q nor %q", file, line, outer, inner)
		}
	})
}
