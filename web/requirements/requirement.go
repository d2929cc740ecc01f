package requirements

import (
	"regexp"
	"strings"
)

// Requirement is a package requested by name, as defined by PEP 508.
type Requirement struct {
	Name    string // as written
	Extras  []string
	Version string // comma-separated specifiers; empty means any
	Marker  *marker
	Hashes  []string // "sha256:..."
}

// String returns the line for pip and uv.
func (r Requirement) String() string {
	line := r.Name
	if len(r.Extras) > 0 {
		line += "[" + strings.Join(r.Extras, ",") + "]"
	}
	line += r.Version
	if r.Marker != nil {
		line += " ; " + r.Marker.String()
	}
	for _, h := range r.Hashes {
		line += " --hash=" + h
	}
	return line
}

// key returns the normalized name.
func (r Requirement) key() string { return normal(r.Name) }

func normal(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

const name = `[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`

// Parts of a requirement. No name starts like a path, a URL or an option.
var (
	separators     = regexp.MustCompile(`[-_.]+`)
	onlyNames      = regexp.MustCompile(`^` + name + `(?:,` + name + `)*$`)
	leading        = regexp.MustCompile(`^(` + name + `)[ \t]*(?:\[([^\]]*)\])?[ \t]*`)
	specifier      = regexp.MustCompile(`^(===|==|~=|!=|<=|>=|<|>)[ \t]*([A-Za-z0-9][A-Za-z0-9._+!-]*(?:\.\*)?)$`)
	beginOfOptions = regexp.MustCompile(`[ \t]--`)
	hash           = regexp.MustCompile(`^--hash[= \t]+(sha256:[0-9a-fA-F]{64}|sha384:[0-9a-fA-F]{96}|sha512:[0-9a-fA-F]{128})(?:[ \t]+|$)`)
	archive        = regexp.MustCompile(`(?i)\.(whl|zip|egg|tar|tgz|tbz|txz|tlz|tar\.[a-z0-9]+)$`)
)

const howPackages = "write NAME, NAME==VERSION or the like; packages come by name from an index"

// parse parses a requirement.
func parse(text string) (*Requirement, error) {
	text, options := text, ""
	if i := beginOfOptions.FindStringIndex(text); i != nil {
		text, options = text[:i[0]], text[i[0]:]
	}
	m := leading.FindStringSubmatch(text)
	rest := ""
	if m != nil {
		rest = text[len(m[0]):]
	}
	first, _, _ := strings.Cut(text, ";")
	switch {
	case strings.HasPrefix(rest, "@") || strings.Contains(first, "://") || strings.HasPrefix(first, "git+"):
		return nil, refusal("is an address, from which anything may come; " + howPackages)
	case m == nil || strings.ContainsAny(first, `/\`) || archive.MatchString(m[1]):
		return nil, refusal("is not a package name; files and folders would be built, which runs their code on this machine: put what they " +
			"contain next to the function's code, or " + howPackages)
	}
	r := &Requirement{Name: m[1]}
	for options = strings.TrimSpace(options); options != ""; {
		h := hash.FindStringSubmatch(options)
		if h == nil {
			return nil, refusal("has options other than --hash=sha256:..., which a folder can't set; remove them")
		}
		r.Hashes = append(r.Hashes, h[1])
		options = options[len(h[0]):]
	}
	if strings.Contains(m[0], "[") {
		for extra := range strings.SplitSeq(m[2], ",") {
			if extra = strings.TrimSpace(extra); !onlyNames.MatchString(extra) {
				return nil, refusal("its extras are not names; " + howPackages)
			}
			r.Extras = append(r.Extras, extra)
		}
	}
	versions, markerText, marked := strings.Cut(rest, ";")
	versions = strings.TrimSpace(versions)
	if inner, ok := strings.CutPrefix(versions, "("); ok && strings.HasSuffix(inner, ")") {
		versions = strings.TrimSpace(strings.TrimSuffix(inner, ")"))
	}
	if versions != "" {
		var all []string
		for text := range strings.SplitSeq(strings.TrimSuffix(versions, ","), ",") {
			s := specifier.FindStringSubmatch(strings.TrimSpace(text))
			if s == nil {
				return nil, refusal("its version is invalid; " + howPackages)
			}
			all = append(all, s[1]+s[2])
		}
		r.Version = strings.Join(all, ",")
	}
	if marked {
		var err error
		if r.Marker, err = parseMarker(markerText); err != nil {
			return nil, err
		}
	}
	return r, nil
}
