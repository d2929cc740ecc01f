package host

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"vivarium/host/fault"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// FuzzCodeFromZip reads any bytes as an archive. What is taken must be within
// the limits, and nothing but files and folders.
func FuzzCodeFromZip(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(attackRoot, archiveSuite, "*.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := readAttack(file)
		if err != nil {
			f.Fatal(err)
		}
		if archive, err := a.build(); err == nil && len(archive) < 64<<10 {
			f.Add(archive)
		}
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		code, err := CodeFromZip(archive)
		if err != nil {
			var refusal *fault.InvalidError
			if !errors.As(err, &refusal) {
				t.Errorf("got %v, which does not say that the caller is wrong", err)
			}
			return
		}
		if code.Size() > maxCodeBytes || code.Entries() > maxCodeEntries+1 {
			t.Errorf("took %d bytes in %d entries", code.Size(), code.Entries())
		}
		if _, err := vfs.NewRoot(vfs.Config{Mounts: []vfs.Mount{{Path: "function/code", Tree: code}}}); err != nil {
			t.Error(err)
		}
	})
}

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
		c := &call{v: &live{Version: &Version{}}, result: &Result{}}
		err := c.interpret(&wasm.Response{Kind: wasm.ResponseKind(kind), Body: body, Size: int64(len(body))}, noWork)
		var fe *fault.FunctionError
		switch {
		case kind != uint32(responseError) && err != nil:
			t.Errorf("kind %d: got %v", kind, err)
		case kind == uint32(responseError) && !errors.As(err, &fe):
			t.Errorf("got %v, want an error of the function", err)
		case fe != nil && (fe.Type == "" || !json.Valid(fe.Body())):
			t.Errorf("got type %q and %q, want JSON", fe.Type, fe.Body())
		case fe != nil && !utf8.ValidString(fe.Type):
			t.Errorf("got type %q, want UTF-8", fe.Type)
		}
	})
}
