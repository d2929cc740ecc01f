// Package strictyaml decodes YAML that people write by hand and reports by line and
// column what is wrong. It refuses unknown keys and names the nearest one that there
// is, so that misspelt ones are noticed.
//
// It reads less than YAML: no anchors and aliases, with which a short text can stand
// for a huge one, no merge keys, no tags, one document. Values have the type that is
// wanted or are refused; none is converted, except that where a text is wanted, a
// number is taken as it is spelled.
//
// The keys come from the struct that is decoded into, see Keys, so that flags of a
// command line and keys of a file can share one.
package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of a text.
const (
	// MaxText bounds a text, in bytes.
	MaxText = 256 << 10
	// maxFaults bounds how many faults an Error names.
	maxFaults = 10
)

// Position is where in a text something is, both counted from 1.
type Position struct{ Line, Column int }

// Fault reports which value breaks which rule.
type Fault struct {
	Position
	Path string // of the keys that lead there, with dots between them; may be empty
	Rule string
}

// Error reports what is wrong with a text. It is its author's fault.
type Error struct {
	Faults []Fault // at least one, in order of position
}

// Error implements error: a line for each fault.
func (e *Error) Error() string { return e.In("") }

// In returns a line for each fault, as FILE:LINE:COLUMN: PATH: RULE.
func (e *Error) In(file string) string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		if file != "" {
			lines[i] = file + ":"
		}
		lines[i] += fmt.Sprintf("%d:%d: ", f.Line, f.Column)
		if f.Path != "" {
			lines[i] += f.Path + ": "
		}
		lines[i] += f.Rule
	}
	return strings.Join(lines, "\n")
}

// Document is a text that was decoded. It knows where what stood.
type Document struct{ positions map[string]Position }

// Faultf returns an *Error about the value that a path of keys leads to, or the nearest
// one above it that the text has.
func (d *Document) Faultf(path, format string, args ...any) *Error {
	at := path
	for {
		if p, ok := d.positions[at]; ok || at == "" {
			return &Error{[]Fault{{p, path, fmt.Sprintf(format, args...)}}}
		}
		at = at[:max(strings.LastIndexByte(at, '.'), 0)]
	}
}

// Decode decodes text, one YAML mapping, into v, a pointer to a struct.
//
// # Errors
//
// *Error, which names at most ten faults.
func Decode(text []byte, v any) (*Document, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	d := decoder{positions: map[string]Position{"": {root.Line, root.Column}}}
	d.value(root, "", reflect.ValueOf(v).Elem())
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b Fault) int {
			return cmp.Or(a.Line-b.Line, a.Column-b.Column)
		})
		return nil, &Error{d.faults[:min(len(d.faults), maxFaults)]}
	}
	return &Document{d.positions}, nil
}

// parse returns the mapping that a text consists of.
func parse(text []byte) (*yaml.Node, error) {
	start := Position{1, 1}
	fail := func(at Position, format string, args ...any) (*yaml.Node, error) {
		return nil, &Error{[]Fault{{at, "", fmt.Sprintf(format, args...)}}}
	}
	switch {
	case len(text) > MaxText:
		return fail(start, "the file has %d bytes, at most %d are allowed", len(text), MaxText)
	case !utf8.Valid(text):
		return fail(start, "the file is not UTF-8 text")
	case len(strings.TrimSpace(string(text))) == 0:
		return fail(start, "the file is empty")
	}
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		if e, ok := errors.AsType[*yaml.LoadError](err); ok {
			return fail(Position{max(e.Mark.Line, 1), max(e.Mark.Column, 1)}, "not YAML: %s", strings.TrimPrefix(e.Message, "yaml: "))
		}
		return fail(start, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) != 1 {
		return fail(start, "the file is empty")
	}
	return document.Content[0], nil
}

// decoder decodes nodes and collects what is wrong with them.
type decoder struct {
	positions map[string]Position
	faults    []Fault
}

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) {
	d.faults = append(d.faults, Fault{Position{n.Line, n.Column}, path, fmt.Sprintf(format, args...)})
}

// value decodes a node into v.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fault(n, path, "anchors (&) and aliases (*) are not allowed; write the value out, or put it in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(n, path, "tags (!) are not allowed; leave %.40s out, or put the value in quotes", n.Tag)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.fault(n, path, "has no value; write %s, or leave the key out", want(v.Type()))
	default:
		decode(d, n, path, v)
	}
}

func decode(d *decoder, n *yaml.Node, path string, v reflect.Value) {
	t := v.Type()
	switch {
	case isScalar(t):
		d.scalar(n, path, v)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		decode(d, n, path, v.Elem())
	case t.Kind() == reflect.Slice:
		d.list(n, path, v)
	case t.Kind() == reflect.Map:
		d.members(n, path, v.Type(), func(key, value *yaml.Node, path string) {
			element := reflect.New(t.Elem()).Elem()
			d.value(value, path, element)
			v.SetMapIndex(reflect.ValueOf(key.Value).Convert(t.Key()), element)
		}, func() { v.Set(reflect.MakeMap(t)) })
	case t.Kind() == reflect.Struct:
		d.object(n, path, v)
	default:
		panic("strictyaml: no such type: " + t.String())
	}
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "must be %s", want(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		d.value(element, path, v.Index(i))
	}
}

// members calls begin and then each for the members of a mapping.
func (d *decoder) members(n *yaml.Node, path string, t reflect.Type, each func(key, value *yaml.Node, path string), begin func()) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "must be %s", want(t))
		return
	}
	begin()
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		inner := key.Value
		if path != "" {
			inner = path + "." + key.Value
		}
		switch {
		case key.Value == "<<" && key.Kind == yaml.ScalarNode && key.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
			d.fault(key, path, "merge keys (<<) are not allowed; write the values out")
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || key.Value == "":
			d.fault(key, path, "a key must be a plain word")
		case seen[key.Value]:
			d.fault(key, inner, "is there already; a key may be used once")
		default:
			seen[key.Value] = true
			d.positions[inner] = Position{key.Line, key.Column}
			each(key, value, inner)
		}
	}
}

// object decodes a mapping into a struct.
func (d *decoder) object(n *yaml.Node, path string, v reflect.Value) {
	keys := Keys(v.Type())
	given := map[string]bool{}
	d.members(n, path, v.Type(), func(key, value *yaml.Node, path string) {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == key.Value })
		if i < 0 {
			d.fault(key, path, "there is no such key%s", instead(key.Value, keys))
			return
		}
		given[key.Value] = true
		d.value(value, path, v.FieldByIndex(keys[i].index))
	}, func() {})
	for _, k := range keys {
		if given[k.Name] {
			continue
		}
		if k.Default != "" {
			if err := setText(v.FieldByIndex(k.index), k.Default); err != nil {
				panic(fmt.Sprintf("strictyaml: default of %s: %v", k.Name, err))
			}
		}
		if k.Required && n.Kind == yaml.MappingNode {
			d.fault(n, path, "needs the key %s", k.Name)
		}
	}
}

// instead returns what to write in place of a key that there is not.
func instead(key string, keys []Key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	slices.Sort(names)
	text := ""
	if near := Nearest(key, names); near != "" {
		text = "; did you mean " + near + "?"
	}
	return text + " (there are: " + strings.Join(names, ", ") + ")"
}
