package run

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/wasm"
)

// FuzzGuestAnswer has a guest answer anything. It becomes a result or an error
// of the function, never one of the platform, and an error's document is JSON.
func FuzzGuestAnswer(f *testing.F) {
	f.Add(uint32(0), []byte(`{"statusCode":200}`))
	f.Add(uint32(1), []byte("\xff\x00"))
	f.Add(uint32(2), []byte(`{"errorMessage":"m","errorType":"T","stackTrace":["a"]}`))
	f.Add(uint32(2), []byte(`{"errorType":"T","errorType":1,"stackTrace":null,"errorCode":200}`))
	f.Add(uint32(2), []byte("[[[[[[[[[[[["))
	f.Add(uint32(2), []byte("{\"errorType\":\"\\ud800\",\"errorMessage\":\"\xed\xa0\x80\"}"))
	f.Fuzz(func(t *testing.T, kind uint32, body []byte) {
		kind %= 3 // the guest refuses others itself
		c := &call{v: &live{Version: &catalog.Version{}}, result: &Result{}}
		err := c.interpret(&wasm.Response{Kind: wasm.ResponseKind(kind), Body: body, Size: int64(len(body))}, noWork)
		switch fe, ok := errors.AsType[*fault.FunctionError](err); {
		case kind != uint32(responseError) && err != nil:
			t.Errorf("kind %d: got %v", kind, err)
		case kind == uint32(responseError) && !ok:
			t.Errorf("got %v, want an error of the function", err)
		case fe != nil && (fe.Type == "" || !json.Valid(fe.Body())):
			t.Errorf("got type %q and %q, want JSON", fe.Type, fe.Body())
		case fe != nil && !utf8.ValidString(fe.Type):
			t.Errorf("got type %q, want UTF-8", fe.Type)
		}
	})
}
