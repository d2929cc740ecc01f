package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// kinds says of each kind what there is to say of it.
var kinds = []struct {
	kind            Kind
	passing, noRoom bool
}{
	{Internal, false, false},
	{Invalid, false, false},
	{NotFound, false, false},
	{Conflict, false, false},
	{Unauthenticated, false, false},
	{Forbidden, false, false},
	{OverQuota, true, true},
	{Busy, true, false},
	{Exhausted, true, true},
	{Cancelled, true, false},
	{Closed, true, false},
	{Unavailable, true, false},
	{Function, false, false},
	{Timeout, false, false},
	{Preparing, true, false},
}

func TestKind_SaysWhatCanBeDone(t *testing.T) {
	seen := map[Kind]bool{}
	for n, c := range kinds {
		if int(c.kind) != n || seen[c.kind] {
			t.Errorf("kind %d is at place %d", c.kind, n)
		}
		seen[c.kind] = true
		if c.kind.Passing() != c.passing || c.kind.NoRoom() != c.noRoom {
			t.Errorf("kind %d: passing is %v, no room is %v", c.kind, c.kind.Passing(), c.kind.NoRoom())
		}
		if c.kind.NoRoom() && !c.kind.Passing() {
			t.Errorf("kind %d: there will never be room", c.kind)
		}
	}
	if last := Kind(len(kinds)); last != Preparing+1 || last.Passing() || last.NoRoom() {
		t.Error("a kind is not in the table")
	}
}

// every is an error of each sort, with its kind and text.
var every = []struct {
	err  error
	kind Kind
	text string
}{
	{ErrUnauthenticated, Unauthenticated, ErrUnauthenticated.Error()},
	{ErrBusy, Busy, ErrBusy.Error()},
	{ErrExhausted, Exhausted, ErrExhausted.Error()},
	{ErrCancelled, Cancelled, ErrCancelled.Error()},
	{ErrClosed, Closed, ErrClosed.Error()},
	{ErrUnavailable, Unavailable, ErrUnavailable.Error()},
	{ErrPreparing, Preparing, ErrPreparing.Error()},
	{&InvalidError{"timeout", "must be positive"}, Invalid, "timeout: must be positive"},
	{Invalidf("name", "%.3q is too long", "abcdef"), Invalid, `name: "abc" is too long`},
	{&NotFoundError{Function: "f"}, NotFound, "function f not found"},
	{&NotFoundError{Function: "f", Version: "v1"}, NotFound, "version v1 not found"},
	{&NotFoundError{Version: "v1"}, NotFound, "version v1 not found"},
	{&NotFoundError{Function: "f", Tag: "prod"}, NotFound, "tag prod not found for function f"},
	{&NotFoundError{Version: "v1", Tag: "prod"}, NotFound, "tag prod not found for version v1"},
	{&NotFoundError{Thing: "timer", Name: "nightly"}, NotFound, "timer nightly not found"},
	{&NotFoundError{Thing: "timer", Name: "nightly", Function: "f", Tag: "prod"}, NotFound, "timer nightly not found"},
	{&ConflictError{"function", "f", "exists"}, Conflict, "function f exists"},
	{Conflictf("tag", "prod", "is of %d versions", 2), Conflict, "tag prod is of 2 versions"},
	{&ForbiddenError{"this takes another key"}, Forbidden, "this takes another key"},
	{&FunctionError{Type: "ValueError", Message: "no"}, Function, "ValueError: no"},
	{&FunctionError{Type: "TimeoutError", Message: "late", TimedOut: true}, Timeout, "TimeoutError: late"},
	// What is not of this package is the platform's fault, whatever it is.
	{nil, Internal, ""},
	{errors.New("disk on fire"), Internal, "disk on fire"},
	{io.ErrUnexpectedEOF, Internal, "unexpected EOF"},
	{fs.ErrNotExist, Internal, "file does not exist"},
	{&os.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, Internal, "open /x: permission denied"},
}

func TestOf_FindsTheKindHoweverItIsWrapped(t *testing.T) {
	for _, c := range every {
		if got := Of(c.err); got != c.kind {
			t.Errorf("%v: kind %d, want %d", c.err, got, c.kind)
		}
		if c.err == nil {
			continue
		}
		if c.err.Error() != c.text {
			t.Errorf("got %q, want %q", c.err, c.text)
		}
		for _, wrapped := range []error{
			fmt.Errorf("deploy: %w", c.err),
			fmt.Errorf("a: %w", fmt.Errorf("b: %w", c.err)),
			errors.Join(c.err, io.EOF),
			errors.Join(io.EOF, c.err),
			fmt.Errorf("%w, and %w", io.EOF, c.err),
			&fs.PathError{Op: "read", Path: "/x", Err: c.err},
		} {
			if got := Of(wrapped); got != c.kind {
				t.Errorf("%v: kind %d, want %d", wrapped, got, c.kind)
			}
			e, ok := As(wrapped)
			if ok != (c.kind != Internal) {
				t.Errorf("%v: has a kind: %v", wrapped, ok)
			}
			// What it was wrapped in is not told.
			if ok && e.Error() != c.text {
				t.Errorf("%v: tells %q, want %q", wrapped, e, c.text)
			}
		}
		if hidden := fmt.Errorf("deploy: %v", c.err); Of(hidden) != Internal {
			t.Errorf("%v: the text of an error gives it the kind", hidden)
		}
	}
}

func TestAs_FindsTheOutermost(t *testing.T) {
	inner := &ForbiddenError{"inner"}
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{outer{Busy, inner}, Busy},
		{fmt.Errorf("x: %w", outer{Busy, fmt.Errorf("y: %w", inner)}), Busy},
		{errors.Join(ErrClosed, inner), Closed},
		{errors.Join(inner, ErrClosed), Forbidden},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%v: kind %d, want %d", c.err, got, c.want)
		}
	}
}

// outer is an error of another package that has a kind and wraps one.
type outer struct {
	kind Kind
	in   error
}

func (o outer) Error() string { return "outer: " + o.in.Error() }
func (o outer) Unwrap() error { return o.in }
func (o outer) Kind() Kind    { return o.kind }

func TestSentinels_AreThemselvesAlone(t *testing.T) {
	sentinels := []error{ErrUnauthenticated, ErrBusy, ErrExhausted, ErrCancelled, ErrClosed, ErrUnavailable}
	for _, a := range sentinels {
		for _, b := range sentinels {
			if got := errors.Is(fmt.Errorf("x: %w", a), b); got != (a == b) {
				t.Errorf("%v is %v: %v", a, b, got)
			}
		}
	}
}

func TestFunctionError_Body(t *testing.T) {
	for _, c := range []struct {
		err  FunctionError
		want string
	}{
		{FunctionError{Type: "E", Message: "m"}, `{"errorMessage":"m","errorType":"E"}`},
		{FunctionError{Type: "E", Message: "m", StackTrace: []string{}}, `{"errorMessage":"m","errorType":"E"}`},
		{FunctionError{Type: "E", Message: "m", StackTrace: []string{"a\n", "b"}}, `{"errorMessage":"m","errorType":"E","stackTrace":["a\n","b"]}`},
		{FunctionError{}, `{"errorMessage":"","errorType":""}`},
		{FunctionError{Type: "E", Message: "m", Document: []byte(`{"x": 1}`)}, `{"x": 1}`},
	} {
		if got := string(c.err.Body()); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	// Whatever the function's texts hold, the answer is JSON that says them.
	for _, text := range []string{"\x00\x1f", "\xff\xfe", `"\`, "\u2028", "<script>", "日本", strings.Repeat("long", 1<<16)} {
		e := FunctionError{Type: text, Message: text, StackTrace: []string{text}}
		var got struct {
			ErrorMessage, ErrorType string
			StackTrace              []string
		}
		if err := json.Unmarshal(e.Body(), &got); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); strings.ReplaceAll(got.ErrorMessage, "\ufffd\ufffd", "\ufffd") != want ||
			got.ErrorType != got.ErrorMessage || got.StackTrace[0] != got.ErrorMessage {
			t.Errorf("%.20q: got %.20q", text, got)
		}
	}
}

// A caller who went away is told apart from whatever broke for that reason, and a
// deadline is the caller's unless the host says that it was its own.
func TestOf_KnowsTheEndOfAContext(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{context.Canceled, Cancelled},
		{fmt.Errorf("read: %w", context.Canceled), Cancelled},
		{fmt.Errorf("%w: function: %w", ErrUnavailable, context.Canceled), Cancelled},
		{context.DeadlineExceeded, Cancelled},
		{fmt.Errorf("delete: %w", context.DeadlineExceeded), Cancelled},
		{fmt.Errorf("%w: function: %w", ErrUnavailable, context.DeadlineExceeded), Unavailable},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%v: got kind %d, want %d", c.err, got, c.want)
		}
	}
}
