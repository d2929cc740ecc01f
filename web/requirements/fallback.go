package requirements

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// lookingBack is how long is looked for newer versions than the chosen ones.
const lookingBack = 20 * time.Second

// Newer stands for a version that is not known more precisely.
const Newer = "newer"

// fallBacks notes of which packages there are newer versions, allowed by the list, that
// can't be had for want of a pure Python wheel. What the index does not tell in time is
// not noted.
func (i *Installer) fallBacks(ctx context.Context, list *List, dir string, chosen []Chosen) {
	ctx, cancel := context.WithTimeout(ctx, lookingBack)
	defer cancel()
	var asked []*Chosen
	for n := range chosen {
		if c := &chosen[n]; !c.BuiltIn && numbers(c.Version) != nil && !list.pins(c.Name) {
			asked = append(asked, c)
		}
	}
	if len(asked) == 0 || list.Hashes {
		return
	}
	options := []string{"--no-deps", "--dry-run"}
	if i.Name == "uv" && !list.Pre { // which would take them for want of others
		options = append(options, "--prerelease", "disallow")
	}
	versions := map[string][]string{}
	if i.Name == "pip" { // whose complaints name wheels only
		versions = i.versions(ctx, dir, asked)
	}
	for _, c := range asked {
		specifiers := strings.TrimSuffix(">"+c.Version+","+list.specifiers(c.Name), ",")
		there := slices.DeleteFunc(versions[normal(c.Name)], func(v string) bool { return !satisfies(v, specifiers) })
		if i.Name == "pip" && len(there) == 0 {
			continue
		}
		alone := *list
		alone.Packages = []Requirement{{Name: c.Name, Version: specifiers}}
		target, err := os.MkdirTemp(dir, "newer-")
		if err != nil {
			return
		}
		complaint, err := i.install(ctx, &alone, dir, target, nil, options...)
		if err == nil || ctx.Err() != nil || unreachable.MatchString(complaint) {
			continue
		}
		switch {
		case i.Name == "pip":
			c.Missed = slices.MaxFunc(there, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
		case i.notes.noWheel.MatchString(complaint):
			c.Missed = Newer
		}
	}
}

// versions returns which versions pip finds of packages, wheels or not.
func (i *Installer) versions(ctx context.Context, dir string, packages []*Chosen) map[string][]string {
	args := append(i.command[:4:4], "versions", i.values("")["python_version"])
	for _, c := range packages {
		args = append(args, c.Name)
	}
	var out bytes.Buffer
	_, _ = i.run(ctx, dir, nil, &out, args...) // it fails if one can't be found
	all := map[string][]string{}
	for _, m := range availableOf.FindAllStringSubmatch(out.String(), -1) {
		all[normal(m[1])] = strings.Split(m[2], ", ")
	}
	return all
}

var availableOf = regexp.MustCompile(`(?m)^(` + name + `) \([^)\n]*\)\r?\nAvailable versions: ([-\w.+!, ]+)$`)

// pins reports whether a list gives a version of a package.
func (l *List) pins(name string) bool {
	return strings.Contains(l.specifiers(name), "==")
}

// specifiers returns what a list asks of the versions of a package.
func (l *List) specifiers(name string) string {
	var all []string
	for _, r := range slices.Concat(l.Packages, l.Constraints) {
		if r.key() == normal(name) && r.Version != "" {
			all = append(all, r.Version)
		}
	}
	return strings.Join(all, ",")
}

// satisfies reports whether a version, of numbers, fits specifiers that are not of a single
// version.
func satisfies(version, specifiers string) bool {
	v := numbers(version)
	for text := range strings.SplitSeq(specifiers, ",") {
		m := specifier.FindStringSubmatch(text)
		if m == nil {
			return false
		}
		bound, series := strings.CutSuffix(m[2], ".*")
		b := numbers(bound)
		if v == nil || b == nil {
			return false
		}
		order, ok := slices.Compare(v, b), false
		switch m[1] {
		case "<":
			ok = order < 0
		case "<=":
			ok = order <= 0
		case ">":
			ok = order > 0
		case ">=":
			ok = order >= 0
		case "~=":
			ok = order >= 0 && strings.HasPrefix(version+".", bound[:strings.LastIndex(bound, ".")+1])
		case "!=":
			ok = order != 0 && !(series && strings.HasPrefix(version, bound+"."))
		}
		if !ok {
			return false
		}
	}
	return true
}
