package events

import (
	"fmt"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/store"
)

func TestInvoke_NeedsAVersionThatAllowsIt(t *testing.T) {
	e, _ := onDisk(t, t.TempDir())
	f := e.function("fun", catalog.AsyncConfig{}, (&calls{}).handler(echo))
	e.version(f.ID, nil)
	invoke := func(function string, body []byte) error {
		_, err := e.Events.Invoke(t.Context(), access.Operator, run.Invocation{Function: function, Body: body})
		return err
	}
	wantError[*fault.InvalidError](t, invoke("fun", nil), "async_invocation_config")
	wantError[*fault.NotFoundError](t, invoke("nobody", nil), "nobody")
	e.version(f.ID, &catalog.AsyncConfig{})
	wantError[*fault.InvalidError](t, invoke("fun", make([]byte, run.MaxResponse+1)), "body: ")
	spec := catalog.VersionSpec{Entrypoint: "main.handler", Async: &catalog.AsyncConfig{}}
	if _, err := e.DeployTransient(access.Operator, "of-a-folder", spec, nil); err != nil {
		t.Fatal(err)
	}
	wantError[*fault.InvalidError](t, invoke("of-a-folder", nil), "data directory")
}

func TestInvoke_QueuedCallsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	e, s := onDisk(t, dir)
	f := e.function("fun", catalog.AsyncConfig{}, nil)
	request := e.queue("fun", "later")
	e.Close()
	s.Close()

	e, _ = onDisk(t, dir)
	var made calls
	e.handle(f.ID, made.handler(func(inv run.Invocation) ([]byte, error) {
		if inv.RequestID != request {
			t.Errorf("request %s, want %s", inv.RequestID, request)
		}
		return nil, nil
	}))
	e.start()
	e.emptied()
	wantList(t, "calls", made.all(), "later")
}

func TestInvoke_CallsOfDeletedFunctionsGoWithThem(t *testing.T) {
	e, _ := onDisk(t, t.TempDir())
	e.function("fun", catalog.AsyncConfig{}, nil)
	e.queue("fun", "1")
	if err := e.DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
		t.Fatal(err)
	}
	e.emptied()
	if all := e.deadLetters(access.Operator); len(all) != 0 {
		t.Errorf("dead letters: %+v", all)
	}
}

// What nobody has heard of may have been somebody's: its calls are kept.
func TestInvoke_CallsOfUnknownFunctionsAreKept(t *testing.T) {
	e, _ := onDisk(t, t.TempDir())
	e.start()
	if err := e.enqueue(t.Context(), store.Item{FunctionID: "d4eunknown", Body: []byte("1"), Notes: map[string]string{}}); err != nil {
		t.Fatal(err)
	}
	e.emptied()
	if all := e.deadLetters(access.Operator); len(all) != 1 || string(all[0].Body) != "1" {
		t.Errorf("got %+v", all)
	}
}

// A queue that others have filled has room for who has nothing in it.
func TestInvoke_ManyTenantsDoNotFillTheQueue(t *testing.T) {
	e, _ := onDisk(t, t.TempDir())
	body := make([]byte, 100<<10)
	for n := range 8 {
		name := fmt.Sprintf("bad-%d/fun", n)
		e.function(name, catalog.AsyncConfig{}, nil)
		queued := 0
		for ; ; queued++ {
			if _, err := e.Events.Invoke(t.Context(), access.Operator, run.Invocation{Function: name, Body: body}); err != nil {
				wantError[*quota.Error](t, err, "asyncBytes")
				break
			}
		}
		if queued == 0 {
			t.Errorf("%s: nothing was queued", name)
		}
	}
	e.function("good/good", catalog.AsyncConfig{}, nil)
	e.queue("good/good", "1")
}
