package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,62}$`)

// object is a JSON object of a log line, taken apart.
type object struct {
	members []member // by name, each once
	text    bytes.Buffer
	value   bytes.Buffer
}

// member is a member of an object. Both parts may be parts of the line.
type member struct {
	name  []byte // without quotes
	value []byte // JSON
	place int    // in the line
}

// objects are used for one line after the other, of whatever call: a map for each
// would be garbage by the million.
var objects = sync.Pool{New: func() any { return new(object) }}

// structured fills e from a line that is a JSON object with a message, and
// reports whether it is one (contract §8).
func (e *Entry) structured(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || !json.Valid(line) {
		return false
	}
	o := objects.Get().(*object)
	defer o.forget()
	o.take(line)
	message, ok := o.takeText("message", nil)
	if !ok {
		message, ok = o.takeText("msg", nil)
	}
	if !ok {
		return false
	}
	e.Message = breakLines(message)
	if level, ok := o.takeText("level", isLevel); ok {
		e.Level = Level(strings.ToUpper(level))
	}
	if stream, ok := o.takeText("stream_name", streamName.MatchString); ok {
		e.StreamName = stream
	}
	e.Payload = o.rest()
	return true
}

func isLevel(name string) bool { return slices.Contains(Levels, Level(strings.ToUpper(name))) }

// take splits a valid object. Of members with the same name the last one counts.
func (o *object) take(text []byte) {
	for at := skip(text, 1); text[at] != '}'; {
		end := endOfValue(text, at)
		m := member{name: unquoted(text[at:end]), place: at}
		at = skip(text, skip(text, end)+1) // behind the colon
		end = endOfValue(text, at)
		m.value = text[at:end]
		o.members = append(o.members, m)
		if at = skip(text, end); text[at] == ',' {
			at = skip(text, at+1)
		}
	}
	slices.SortFunc(o.members, func(a, b member) int { return cmp.Or(bytes.Compare(a.name, b.name), a.place-b.place) })
	once := o.members[:0]
	for n, m := range o.members {
		if n+1 == len(o.members) || !bytes.Equal(m.name, o.members[n+1].name) {
			once = append(once, m)
		}
	}
	clear(o.members[len(once):])
	o.members = once
}

// takeText returns a member that is a text, or null, which is the empty one, and takes
// it out, unless fits says that it is not what the name promises.
func (o *object) takeText(name string, fits func(string) bool) (text string, ok bool) {
	at := slices.IndexFunc(o.members, func(m member) bool { return string(m.name) == name })
	if at < 0 {
		return "", false
	}
	switch value := o.members[at].value; {
	case value[0] == '"':
		text = string(unquoted(value))
	case value[0] != 'n':
		return "", false
	}
	if fits != nil && !fits(text) {
		return "", false
	}
	o.members = slices.Delete(o.members, at, at+1)
	return text, true
}

// rest returns an object of the members that are left, nil without any: what
// json.Marshal makes of a map.
func (o *object) rest() json.RawMessage {
	if len(o.members) == 0 {
		return nil
	}
	o.text.WriteByte('{')
	for n, m := range o.members {
		if n > 0 {
			o.text.WriteByte(',')
		}
		o.writeName(m.name)
		o.text.WriteByte(':')
		o.value.Reset()
		_ = json.Compact(&o.value, m.value) // it is valid
		json.HTMLEscape(&o.text, o.value.Bytes())
	}
	o.text.WriteByte('}')
	return bytes.Clone(o.text.Bytes())
}

func (o *object) writeName(name []byte) {
	if bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f || strings.ContainsRune(`"\<>&`, r) }) {
		quoted, _ := json.Marshal(string(name)) // a string always marshals
		o.text.Write(quoted)
		return
	}
	o.text.WriteByte('"')
	o.text.Write(name)
	o.text.WriteByte('"')
}

// forget lets go of a line.
func (o *object) forget() {
	clear(o.members)
	o.members = o.members[:0]
	o.text.Reset()
	o.value.Reset()
	objects.Put(o)
}

// skip returns where the white space in valid JSON ends that begins at at, if any.
func skip(text []byte, at int) int {
	for text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n' {
		at++
	}
	return at
}

// endOfValue returns where the value ends that begins at at, a part of an object in
// valid JSON.
func endOfValue(text []byte, at int) int {
	for depth := 0; ; at++ {
		switch text[at] {
		case '"':
			for at++; text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				return at + bytes.IndexAny(text[at:], ",}] \t\r\n")
			}
			continue
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// unquoted returns what a JSON string says. It may be a part of the string.
func unquoted(quoted []byte) []byte {
	inside := quoted[1 : len(quoted)-1]
	if !bytes.ContainsFunc(inside, func(r rune) bool { return r == '\\' || r >= 0x7f }) {
		return inside
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // it is valid
	return []byte(text)
}
