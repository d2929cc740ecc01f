package requirements

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vivarium/web/folder"
)

// Limits for explain.
const (
	deepestNeed = 8   // levels of dependencies
	mostNeeded  = 200 // packages
)

// need is a requirement and who has it.
type need struct {
	Requirement
	by []string
}

// explain returns the packages that can't be had. Installers stop at the first
// one, or try other versions of its dependents; users want to know all of them,
// and who needs them. So packages are installed without dependencies, and these
// are taken from their metadata, level by level.
func (i *Installer) explain(ctx context.Context, list *List, dir string) []Blocked {
	var blocked []Blocked
	var level []need
	for _, r := range list.Packages {
		level = append(level, need{Requirement: r})
	}
	seen := map[string]bool{}
	for depth := 0; depth < deepestNeed && len(level) > 0 && len(seen) < mostNeeded && ctx.Err() == nil; depth++ {
		var next []need
		for _, n := range level {
			extras := n.Extras
			if key := fmt.Sprint(n.key(), extras); seen[key] || n.Marker != nil && !n.Marker.holds(i.values("")) {
				continue
			} else {
				seen[key] = true
			}
			alone := *list
			alone.Packages = []Requirement{n.Requirement}
			target, err := os.MkdirTemp(dir, "alone-")
			if err != nil {
				return blocked
			}
			complaint, err := i.install(ctx, &alone, dir, target, nil, "--no-deps")
			if err == nil {
				native := native(os.DirFS(target))
				needs, odd := i.needs(target, extras)
				_ = os.RemoveAll(target) // the next needs the room; what is left goes with dir
				if len(native) > 0 {
					blocked = append(blocked, Blocked{Name: n.Name + n.Version, Why: NoWheel, By: n.by})
					continue
				}
				for _, o := range odd {
					blocked = append(blocked, Blocked{Name: o, Why: NoName, By: []string{n.Name}})
				}
				for _, r := range needs {
					next = append(next, need{r, []string{n.Name}})
				}
				continue
			}
			if b, ok := i.blame(ctx, n, dir, complaint); ok {
				b.perhaps = i.isBuiltIn(n) && slices.ContainsFunc(n.by, func(name string) bool { return !list.pins(name) })
				blocked = append(blocked, b)
			}
		}
		level = merge(next)
	}
	return certain(blocked)
}

// isBuiltIn reports whether the guest has a version of a package.
func (i *Installer) isBuiltIn(n need) bool {
	_, ok := i.stubs[n.key()]
	return ok
}

// certain leaves out what may be had with other versions of its dependents, if there is
// anything else: that alone may be why no versions fit each other.
func certain(blocked []Blocked) []Blocked {
	sure := slices.DeleteFunc(slices.Clone(blocked), func(b Blocked) bool { return b.perhaps })
	if len(sure) == 0 {
		return blocked
	}
	return sure
}

// merge merges the needs for the same package.
func merge(needs []need) []need {
	var all []need
	for _, n := range needs {
		at := slices.IndexFunc(all, func(other need) bool { return other.key() == n.key() && slices.Equal(other.Extras, n.Extras) })
		if at < 0 {
			all = append(all, n)
			continue
		}
		other := &all[at]
		if !slices.Contains(other.by, n.by[0]) {
			other.by = append(other.by, n.by[0])
		}
		if n.Version != "" && !strings.Contains(other.Version, n.Version) {
			other.Version = strings.TrimPrefix(other.Version+","+n.Version, ",")
		}
	}
	return all
}

// values are the values of marker variables for the guest's Python.
func (i *Installer) values(extra string) map[string]string {
	version := i.python
	if parts := strings.SplitN(version, ".", 3); len(parts) == 3 {
		version = parts[0] + "." + parts[1]
	}
	return map[string]string{
		"python_version": version, "python_full_version": i.python, "os_name": "posix", "sys_platform": "wasi",
		"platform_machine": "wasm32", "platform_python_implementation": "CPython", "implementation_name": "cpython",
		"implementation_version": i.python, "extra": extra,
	}
}

// needs returns the dependencies of the package installed in target, and those
// that are given in another form than by name.
func (i *Installer) needs(target string, extras []string) (needs []Requirement, odd []string) {
	infos, _ := filepath.Glob(filepath.Join(target, "*.dist-info"))
	for _, info := range infos {
		text, err := folder.ReadFile(os.DirFS(info), "METADATA", maxFile)
		if err != nil {
			continue
		}
		for field, line := range fields(text) {
			if field != "Requires-Dist" {
				continue
			}
			r, err := parse(line)
			switch {
			case err != nil:
				odd = append(odd, line)
			case r.Marker == nil || slices.ContainsFunc(append(extras[:len(extras):len(extras)], ""), func(extra string) bool {
				return r.Marker.holds(i.values(extra))
			}):
				r.Marker = nil
				needs = append(needs, *r)
			}
		}
	}
	return needs, odd
}

// blame finds out from an installer's complaint why a package could not be had.
func (i *Installer) blame(ctx context.Context, n need, dir, complaint string) (Blocked, bool) {
	b := Blocked{Name: n.Name + n.Version, By: n.by}
	if s, ok := i.stubs[n.key()]; ok {
		b.Detail = ", and the version that is built in, " + s.version + ", does not fit"
	}
	switch {
	case i.notes.noPackage != nil && i.notes.noPackage.MatchString(complaint):
		b.Why = NoPackage
	case i.notes.noWheel.MatchString(complaint):
		b.Why = NoWheel
	case i.notes.noVersion.MatchString(complaint):
		b.Why = NoVersion
	default:
		return b, false // of the network, for instance
	}
	if i.Name != "pip" {
		return b, true
	}
	// pip only reports wheels. What else exists needs a query.
	args := append(i.command[:4:4], "index", "versions", "--disable-pip-version-check", "--no-input", "--pre", "--ignore-requires-python", n.Name)
	var out bytes.Buffer
	if complaint, err := i.run(ctx, dir, nil, &out, args...); err != nil {
		if b.Why == NoWheel && strings.Contains(complaint, "No matching distribution found") {
			b.Detail += ", or there is no package of that name"
		}
		return b, true
	}
	m := available.FindSubmatch(out.Bytes())
	exact, pinned := strings.CutPrefix(n.Version, "==")
	if m == nil || !pinned || strings.ContainsAny(exact, ",*") {
		return b, true
	}
	versions := strings.Split(string(m[1]), ", ")
	b.Why = NoWheel
	if !slices.ContainsFunc(versions, func(v string) bool { return sameVersion(v, exact) }) {
		b.Why, b.Detail = NoVersion, "; the newest is "+versions[0]
	}
	return b, true
}

var available = regexp.MustCompile(`(?m)^Available versions: ([-\w.+!, ]+)$`)

// sameVersion reports whether two spellings mean the same version.
func sameVersion(a, b string) bool {
	if x, y := numbers(a), numbers(b); x != nil && y != nil {
		return slices.Equal(x, y)
	}
	return strings.EqualFold(a, b)
}
