package manage

import (
	"encoding/json"
	"fmt"
	"time"

	"vivarium/host/accounts"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/secrets"
	"vivarium/host/store"
)

// record is an operation as the store keeps it.
type record struct {
	Change     Change
	ModifiedAt time.Time
	Done       bool
	Response   *response `json:",omitempty"`
	Failure    *failure  `json:",omitempty"`
}

// response is what an operation has changed, with the name of its type.
type response struct {
	Type  string
	Value json.RawMessage
}

// failure is why an operation was not done, as its callers are told.
type failure struct {
	Is   fault.Kind
	Text string
}

// Error implements error.
func (f *failure) Error() string { return f.Text }

// Kind implements fault.Error.
func (f *failure) Kind() fault.Kind { return f.Is }

// timer is an events.Timer, whose record lacks when it ticks next.
type timer struct {
	events.Timer
	Next time.Time
}

func newRecord(op *Operation) record {
	r := record{Change: op.Change, ModifiedAt: op.ModifiedAt, Done: op.Done}
	if told, ok := fault.As(op.Err); ok {
		r.Failure = &failure{told.Kind(), told.Error()}
	} else if op.Err != nil {
		r.Failure = &failure{Is: fault.Of(op.Err)} // the text of which is the operator's
	}
	if t, ok := op.Response.(events.Timer); ok {
		r.Response = &response{typeOf(t), store.Record(timer{t, t.NextTick})}
	} else if op.Response != nil {
		r.Response = &response{typeOf(op.Response), store.Record(op.Response)}
	}
	return r
}

func typeOf(v any) string { return fmt.Sprintf("%T", v) }

// value returns what was changed. What a later version of the program has changed, and this
// one does not know, is told as a deletion is.
func (r *response) value() (any, error) {
	switch r.Type {
	case typeOf(catalog.FunctionInfo{}):
		return decode[catalog.FunctionInfo](r)
	case typeOf(catalog.VersionInfo{}):
		return decode[catalog.VersionInfo](r)
	case typeOf(Policy{}):
		return decode[Policy](r)
	case typeOf(secrets.Secret{}):
		return decode[secrets.Secret](r)
	case typeOf(accounts.Account{}):
		return decode[accounts.Account](r)
	case typeOf(accounts.Changes{}):
		return decode[accounts.Changes](r)
	case typeOf(events.Timer{}):
		t, err := decode[timer](r)
		t.NextTick = t.Next
		return t.Timer, err
	}
	return nil, nil
}

func decode[T any](r *response) (v T, err error) {
	err = json.Unmarshal(r.Value, &v)
	return v, err
}
