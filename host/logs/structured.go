package logs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"vivarium/host/paced"
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,62}$`)

// object is a JSON object of a log line, taken apart.
type object struct {
	line    []byte
	names   []byte   // those that the line spells with escapes
	members []member // by name, each once
	text    bytes.Buffer
	value   bytes.Buffer
}

// member is a member of an object.
type member struct {
	begins      uint64 // its name's first bytes, to be compared at once
	name, value span
}

// span is a part of the line, or of the names if it begins behind the line. Lines are short
// enough for that, and objects of thousands of members are held while others compute.
type span struct{ from, to uint32 }

// What taking lines apart costs, in bytes copied.
const (
	perMember  = 128
	perCompare = 64
)

// objects are used for one line after the other, of whatever call: a map for each
// would be garbage by the million.
var objects = sync.Pool{New: func() any { return new(object) }}

// structured fills e from a line that is a JSON object with a message, and
// reports whether it is one (contract §8).
func (e *Entry) structured(line []byte, work paced.Work) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || !json.Valid(line) {
		return false
	}
	o := objects.Get().(*object)
	defer o.forget()
	o.take(line, work)
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
	e.Payload = o.rest(work)
	return true
}

func isLevel(name string) bool { return slices.Contains(Levels, Level(strings.ToUpper(name))) }

// take splits a valid object. Of members with the same name the last one counts.
func (o *object) take(text []byte, work paced.Work) {
	work(len(text) * paced.PerJSONByte) // which checking it took
	o.line = text
	for at := skip(text, 1); text[at] != '}'; {
		start, end := at, endOfValue(text, at)
		name := o.named(at, end)
		at = skip(text, skip(text, end)+1) // behind the colon
		end = endOfValue(text, at)
		o.members = append(o.members, member{beginning(o.part(name)), name, span{uint32(at), uint32(end)}})
		if at = skip(text, end); text[at] == ',' {
			at = skip(text, at+1)
		}
		work(perMember + (at-start)*paced.PerJSONByte/2)
	}
	slices.SortFunc(o.members, func(a, b member) int {
		work(perCompare)
		return cmp.Or(o.compare(a, b), cmp.Compare(a.value.from, b.value.from))
	})
	once := o.members[:0]
	for n, m := range o.members {
		if n+1 == len(o.members) || o.compare(m, o.members[n+1]) != 0 {
			once = append(once, m)
		}
	}
	o.members = once
}

// named returns the name that the line spells between two places.
func (o *object) named(from, to int) span {
	inside := o.line[from+1 : to-1]
	if !bytes.ContainsFunc(inside, func(r rune) bool { return r == '\\' || r >= 0x7f }) {
		return span{uint32(from + 1), uint32(to - 1)}
	}
	start := len(o.names)
	o.names = append(o.names, unquoted(o.line[from:to])...)
	return span{uint32(len(o.line) + start), uint32(len(o.line) + len(o.names))}
}

// part returns what a span holds.
func (o *object) part(s span) []byte {
	if n := uint32(len(o.line)); s.from >= n {
		return o.names[s.from-n : s.to-n]
	}
	return o.line[s.from:s.to]
}

// beginning returns the first bytes of a name, which are in the order of the names.
func beginning(name []byte) uint64 {
	var first [8]byte
	copy(first[:], name)
	return binary.BigEndian.Uint64(first[:])
}

// compare compares the names of two members.
func (o *object) compare(a, b member) int {
	if a.begins != b.begins {
		return cmp.Compare(a.begins, b.begins)
	}
	return bytes.Compare(o.part(a.name), o.part(b.name))
}

// takeText returns a member that is a text, or null, which is the empty one, and takes
// it out, unless fits says that it is not what the name promises.
func (o *object) takeText(name string, fits func(string) bool) (text string, ok bool) {
	at := slices.IndexFunc(o.members, func(m member) bool { return string(o.part(m.name)) == name })
	if at < 0 {
		return "", false
	}
	switch value := o.part(o.members[at].value); {
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
func (o *object) rest(work paced.Work) json.RawMessage {
	if len(o.members) == 0 {
		return nil
	}
	o.text.WriteByte('{')
	for n, m := range o.members {
		if n > 0 {
			o.text.WriteByte(',')
		}
		name, value := o.part(m.name), o.part(m.value)
		o.writeName(name)
		o.text.WriteByte(':')
		o.writeValue(value)
		work(perMember + (len(name)+len(value))*paced.PerJSONByte)
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

// writeValue writes valid JSON as json.Marshal would.
func (o *object) writeValue(value []byte) {
	if !slices.ContainsFunc(value, func(b byte) bool { return b <= ' ' || b == '<' || b == '>' || b == '&' || b >= 0x7f }) {
		o.text.Write(value)
		return
	}
	o.value.Reset()
	_ = json.Compact(&o.value, value) // it is valid
	json.HTMLEscape(&o.text, o.value.Bytes())
}

// forget lets go of a line.
func (o *object) forget() {
	o.line, o.names, o.members = nil, o.names[:0], o.members[:0]
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
