package strictyaml

import (
	"reflect"
	"regexp"
	"strings"
)

// Key is a key that a struct's mapping may have.
type Key struct {
	Name     string
	Help     string // what it means, from the field's tag help
	Default  string // from the tag default, as text
	Required bool   // from the tag required
	Type     reflect.Type
	index    []int
}

// Keys returns the keys of a struct, those of embedded structs included. A field's key
// is, as kong has it for flags, its tag name, or its name in lower case with hyphens;
// the tag yaml overrides both, and "-" leaves a field out. Fields of a struct with a
// tag prefix, which are flags with this prefix, are keys of a mapping of their own that
// is called like the prefix.
func Keys(t reflect.Type) []Key {
	var keys []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name := keyName(f)
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			for _, k := range Keys(f.Type) {
				k.index = append([]int{i}, k.index...)
				keys = append(keys, k)
			}
		default:
			_, required := f.Tag.Lookup("required")
			keys = append(keys, Key{
				Name: name, Help: f.Tag.Get("help"), Default: f.Tag.Get("default"), Required: required, Type: f.Type, index: []int{i},
			})
		}
	}
	return keys
}

func keyName(f reflect.StructField) string {
	for _, tag := range []string{f.Tag.Get("yaml"), strings.TrimSuffix(f.Tag.Get("prefix"), "-"), f.Tag.Get("name")} {
		if tag != "" {
			return tag
		}
	}
	return strings.ToLower(wordStart.ReplaceAllString(f.Name, "$1-$2"))
}

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// Nearest returns which of some names is most like a misspelt one; empty if none is
// like it.
func Nearest(name string, names []string) string {
	best, least := "", max(len(name)/3, 1)+1
	for _, other := range names {
		if d := distance(name, other); d < least {
			best, least = other, d
		}
	}
	return best
}

// distance returns how many bytes have to be inserted, removed, changed or swapped with
// the next one to make b of a.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > 64 { // no key is that long
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
			default:
				changed := rows[i-1][j-1]
				if a[i-1] != b[j-1] {
					changed++
				}
				rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, changed)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
				}
			}
		}
	}
	return rows[len(a)][len(b)]
}
