package requirements

import (
	"regexp"
	"slices"
	"strings"
)

// marker is a PEP 508 condition on the Python that a package is installed for:
// two conditions joined by "and" or "or", or a comparison.
type marker struct {
	operator    string
	left, right *marker // for "and" and "or"
	a, b        string  // for a comparison: variables, or texts in quotes
}

// String implements fmt.Stringer.
func (m *marker) String() string {
	if m.left != nil {
		return "(" + m.left.String() + " " + m.operator + " " + m.right.String() + ")"
	}
	return m.a + " " + m.operator + " " + m.b
}

// deepestMarker bounds how deep conditions may be nested, and how many may be
// joined.
const deepestMarker = 50

var (
	variable = regexp.MustCompile(`^(?:python_version|python_full_version|os_name|sys_platform|platform_release|platform_system|` +
		`platform_version|platform_machine|platform_python_implementation|implementation_name|implementation_version|extra)\b`)
	quoted     = regexp.MustCompile(`^(?:"[^"\\$]*"|'[^'"\\$]*')`)
	comparison = regexp.MustCompile(`^(?:===|==|~=|!=|<=|>=|<|>|not[ \t]+in\b|in\b)`)
	word       = regexp.MustCompile(`^(?:and|or)\b`)
)

const markerRefusal = refusal(`its condition is none; write ; python_version < "3.13" or the like`)

func parseMarker(text string) (*marker, error) {
	p := markerParser{rest: text}
	m := p.either(0)
	if p.rest = strings.TrimSpace(p.rest); m == nil || p.rest != "" {
		return nil, markerRefusal
	}
	return m, nil
}

// markerParser removes what it has read from the start of the rest. Its methods
// return nil, or "", for what is not there.
type markerParser struct{ rest string }

func (p *markerParser) accept(pattern *regexp.Regexp) string {
	p.rest = strings.TrimLeft(p.rest, " \t")
	found := pattern.FindString(p.rest)
	p.rest = p.rest[len(found):]
	return found
}

// either reads conditions joined by "or".
func (p *markerParser) either(depth int) *marker { return p.chain("or", depth, p.both) }

// both reads conditions joined by "and".
func (p *markerParser) both(depth int) *marker { return p.chain("and", depth, p.single) }

func (p *markerParser) chain(operator string, depth int, next func(int) *marker) *marker {
	m := next(depth)
	for n := 0; m != nil; n++ {
		before := p.rest
		if p.accept(word) != operator {
			p.rest = before
			return m
		}
		right := next(depth)
		if right == nil || n > deepestMarker {
			return nil
		}
		m = &marker{operator: operator, left: m, right: right}
	}
	return nil
}

// single reads a comparison, or conditions in parentheses.
func (p *markerParser) single(depth int) *marker {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if strings.HasPrefix(p.rest, "(") {
		p.rest = p.rest[1:]
		if depth == deepestMarker {
			return nil
		}
		m := p.either(depth + 1)
		p.rest = strings.TrimLeft(p.rest, " \t")
		if m == nil || !strings.HasPrefix(p.rest, ")") {
			return nil
		}
		p.rest = p.rest[1:]
		return m
	}
	m := &marker{a: p.value(), operator: strings.Join(strings.Fields(p.accept(comparison)), " ")}
	m.b = p.value()
	// One side must be a variable: comparing two texts makes no sense.
	if m.a == "" || m.operator == "" || m.b == "" || m.a[0] == '"' && m.b[0] == '"' {
		return nil
	}
	return m
}

// value reads a variable or a text, which it puts in double quotes.
func (p *markerParser) value() string {
	if v := p.accept(variable); v != "" {
		return v
	}
	v := p.accept(quoted)
	if v == "" {
		return ""
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return ""
		}
	}
	return `"` + v[1:len(v)-1] + `"`
}

// holds reports whether the condition is true for these values of variables.
func (m *marker) holds(values map[string]string) bool {
	switch m.operator {
	case "and":
		return m.left.holds(values) && m.right.holds(values)
	case "or":
		return m.left.holds(values) || m.right.holds(values)
	}
	value := func(text string) string {
		if text[0] == '"' {
			return text[1 : len(text)-1]
		}
		return values[text]
	}
	a, b := value(m.a), value(m.b)
	switch m.operator {
	case "in":
		return strings.Contains(b, a)
	case "not in":
		return !strings.Contains(b, a)
	}
	order := strings.Compare(a, b)
	if x, y := numbers(a), numbers(b); x != nil && y != nil {
		order = slices.Compare(x, y)
	}
	switch m.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=", "~=":
		return order >= 0
	case "!=":
		return order != 0
	default:
		return order == 0
	}
}

// numbers returns the parts of a version that consists of numbers, without
// trailing zeros; nil for any other text.
func numbers(version string) []int {
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		n := 0
		if part == "" || len(part) > 9 {
			return nil
		}
		for _, c := range part {
			if c < '0' || c > '9' {
				return nil
			}
			n = n*10 + int(c-'0')
		}
		all = append(all, n)
	}
	for len(all) > 1 && all[len(all)-1] == 0 {
		all = all[:len(all)-1]
	}
	return all
}
