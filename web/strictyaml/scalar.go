package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// Described is a type whose form in YAML its Go type does not tell.
type Described interface {
	// DescribeYAML returns the form, as in "an amount such as 128 or 1g".
	DescribeYAML() string
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return reflect.PointerTo(t).Implements(textType)
}

// want describes what a value of a type must be.
func want(t reflect.Type) string {
	if d, ok := reflect.Zero(t).Interface().(Described); ok && t.Kind() != reflect.Pointer {
		return d.DescribeYAML()
	}
	switch {
	case t == durationType:
		return "a time such as 500ms, 3s or 5m"
	case t.Kind() == reflect.Pointer:
		return want(t.Elem())
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list, as in [one, two]"
	}
	return "a mapping, with a line KEY: VALUE for each key"
}

// scalar decodes a scalar into v.
func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "must be %s", want(v.Type()))
		return
	}
	tag := n.ShortTag()
	numeric := v.Kind() == reflect.Int || v.Kind() == reflect.Int64
	switch {
	case reflect.PointerTo(v.Type()).Implements(textType):
		if tag != "!!str" && tag != "!!int" {
			d.fault(n, path, "must be %s", want(v.Type()))
			return
		}
	case v.Kind() == reflect.Bool && tag != "!!bool",
		v.Type() == durationType && tag != "!!str",
		numeric && v.Type() != durationType && tag != "!!int":
		d.fault(n, path, "must be %s", want(v.Type()))
		return
	case v.Kind() == reflect.String && tag != "!!str" && tag != "!!int" && tag != "!!float":
		d.fault(n, path, "must be a text; put %.40s in quotes if it is meant as one", n.Value)
		return
	}
	if err := setText(v, n.Value); err != nil {
		d.fault(n, path, "%v", err)
	}
}

// setText sets v to what a text stands for.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	bad := fmt.Errorf("must be %s", want(v.Type()))
	switch {
	case v.Type() == durationType:
		t, err := time.ParseDuration(text)
		if err != nil {
			return bad
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return bad
		}
		v.SetBool(b)
	default:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetInt(n)
	}
	return nil
}
