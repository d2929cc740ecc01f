package api

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Int64 is a 64-bit number, which in JSON is a string: "134217728". A plain
// number is accepted as well.
type Int64 int64

// DescribeJSON implements strictjson.Described.
func (Int64) DescribeJSON() string { return `a 64-bit number as a string, such as "134217728"` }

// MarshalJSON implements json.Marshaler.
func (n Int64) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(n), 10)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Int64) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	if text[0] == '"' {
		if json.Unmarshal(b, &text) != nil {
			return mismatch(b, n)
		}
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return mismatch(b, n)
	}
	*n = Int64(v)
	return nil
}

// Duration is a time span, which in JSON is a string of seconds: "5s", "0.500s".
type Duration time.Duration

// DescribeJSON implements strictjson.Described.
func (Duration) DescribeJSON() string { return `a duration in seconds, such as "5s"` }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, d.String()), nil }

// String returns the seconds, with three, six or nine decimals where needed.
func (d Duration) String() string {
	text := strconv.FormatFloat(time.Duration(d).Seconds(), 'f', 9, 64)
	for strings.HasSuffix(text, "000") {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "000"), ".")
		if !strings.Contains(text, ".") {
			break
		}
	}
	return text + "s"
}

// maxSeconds is more than any duration here may have.
const maxSeconds = 1e9

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(b, &text) != nil {
		return mismatch(b, d)
	}
	digits, ok := strings.CutSuffix(text, "s")
	seconds, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || strings.Trim(digits, "-.0123456789") != "" || seconds > maxSeconds || seconds < -maxSeconds {
		return mismatch(b, d)
	}
	// By way of text, since 0.1 is no binary fraction.
	exact, err := time.ParseDuration(text)
	if err != nil {
		return mismatch(b, d)
	}
	*d = Duration(exact)
	return nil
}

// Time is a moment, in JSON a text as RFC 3339 has it, in UTC.
type Time time.Time

// MarshalJSON implements json.Marshaler. The zero time is null.
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, time.Time(t).UTC().Format(time.RFC3339Nano)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }

// mismatch returns json's own error, to which the decoder adds the field's name.
func mismatch(b []byte, v any) error {
	return &json.UnmarshalTypeError{Value: string(b), Type: reflect.TypeOf(v).Elem()}
}
