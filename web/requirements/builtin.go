package requirements

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vivarium/web/folder"
)

// BuiltIn is a package that is part of the guest.
type BuiltIn struct {
	Name    string // normalized
	Version string
	// Metadata is the METADATA file of its distribution, whose dependencies count.
	Metadata []byte
}

// Chosen is a package of a certain version that a list leads to.
type Chosen struct {
	Name    string
	Version string
	BuiltIn bool // it is part of the guest, and was not installed
	// Missed is the newest version that the list allows, or Newer, if that can't be had
	// for want of a pure Python wheel.
	Missed string `json:",omitempty"`
}

// String returns the package as a requirement.
func (c Chosen) String() string { return c.Name + "==" + c.Version }

// IsThat reports whether the package is the one that is built in, of whatever version.
func (c Chosen) IsThat(b BuiltIn) bool { return normal(c.Name) == b.Name }

// stub is a wheel without files that stands for a package that is built in, so
// that pip and uv count on it and on what it needs.
type stub struct{ version, hash string }

// writeStubs writes the stubs into a folder of their own, by normalized name.
func writeStubs(dir string, all []BuiltIn) (map[string]stub, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	stubs := map[string]stub{}
	for _, b := range all {
		// Wheels are found by their names, in which a dash separates parts.
		name := strings.ReplaceAll(b.Name, "-", "_") + "-" + b.Version
		wheel, err := stubWheel(name+".dist-info/", b.Metadata)
		if err != nil {
			return nil, fmt.Errorf("built-in package %s: %w", b.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-py3-none-any.whl"), wheel, 0o600); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(wheel)
		stubs[b.Name] = stub{b.Version, "sha256:" + hex.EncodeToString(sum[:])}
	}
	return stubs, nil
}

// requiresPython matches what a METADATA file says about Python. What is part of the
// guest fits its Python, but some releases of pip compare with their own.
var requiresPython = regexp.MustCompile(`(?mi)^Requires-Python:.*\n`)

func stubWheel(info string, metadata []byte) ([]byte, error) {
	files := map[string]string{
		"METADATA": requiresPython.ReplaceAllString(string(metadata), ""),
		"WHEEL":    "Wheel-Version: 1.0\nGenerator: vivarium\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	record := ""
	for _, name := range append(slices.Sorted(maps.Keys(files)), "RECORD") {
		record += info + name + ",,\n"
	}
	files["RECORD"] = record
	var wheel bytes.Buffer
	w := zip.NewWriter(&wheel)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(info + name)
		if err == nil {
			_, err = f.Write([]byte(files[name]))
		}
		if err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return wheel.Bytes(), err
}

// preferring returns the list with what makes an installer choose the packages
// that are built in: constraints for those of which the list itself does not say
// the version, unless strict is false, and the stubs' hashes.
func (l *List) preferring(stubs map[string]stub, strict bool) *List {
	preferring := *l
	preferring.Packages = slices.Clone(l.Packages)
	named := map[string]bool{}
	for i, r := range preferring.Packages {
		named[r.key()] = named[r.key()] || r.Version != ""
		if s, ok := stubs[r.key()]; ok && len(r.Hashes) > 0 {
			preferring.Packages[i].Hashes = append(slices.Clone(r.Hashes), s.hash)
		}
	}
	if !strict || l.Hashes {
		return &preferring
	}
	preferring.Constraints = slices.Clone(l.Constraints)
	for _, key := range slices.Sorted(maps.Keys(stubs)) {
		if !named[key] {
			preferring.Constraints = append(preferring.Constraints, Requirement{Name: key, Version: "==" + stubs[key].version})
		}
	}
	return &preferring
}

// dropBuiltIn returns what was installed in target, without the files of those packages
// that are built in, which it removes.
func dropBuiltIn(target string, stubs map[string]stub) ([]Chosen, error) {
	infos, err := filepath.Glob(filepath.Join(target, "*.dist-info"))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var all []Chosen
	for _, info := range infos {
		info = filepath.Base(info)
		c := Chosen{}
		if c.Name, c.Version, err = identity(root.FS(), info); err != nil {
			return nil, err
		}
		if s, ok := stubs[normal(c.Name)]; ok && sameVersion(s.version, c.Version) {
			c.BuiltIn = true
			if err := uninstall(root, info); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Chosen) int { return strings.Compare(normal(a.Name), normal(b.Name)) })
	return all, nil
}

// identity returns what the metadata of a distribution says that it is.
func identity(fsys fs.FS, info string) (name, version string, err error) {
	text, err := folder.ReadFile(fsys, info+"/METADATA", maxFile)
	if err != nil {
		return "", "", err
	}
	for field, value := range fields(text) {
		switch strings.ToLower(field) {
		case "name":
			name = value
		case "version":
			version = value
		}
	}
	if name == "" || version == "" {
		return "", "", fmt.Errorf("%s: the metadata has no name or no version", info)
	}
	return name, version, nil
}

// fields are those of a METADATA file, which end with the first empty line.
func fields(text []byte) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan() && lines.Text() != ""; {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && !yield(name, strings.TrimSpace(value)) {
				return
			}
		}
	}
}

// uninstall removes the files of a distribution, and folders that are empty then.
func uninstall(root *os.Root, info string) error {
	record, err := folder.ReadFile(root.FS(), info+"/RECORD", maxFile)
	if err != nil {
		return err
	}
	rows := csv.NewReader(bytes.NewReader(record))
	rows.FieldsPerRecord = -1
	files, err := rows.ReadAll()
	if err != nil {
		return fmt.Errorf("%s/RECORD: %w", info, err)
	}
	for _, row := range files {
		// Scripts are outside of the packages' own folder.
		if name := path.Clean(row[0]); filepath.IsLocal(name) {
			for err := root.Remove(name); err == nil && name != "."; err = root.Remove(name) {
				name = path.Dir(name)
			}
		}
	}
	if err := root.RemoveAll(info); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// BuiltIns returns the packages that a folder of installed ones has.
func BuiltIns(packages fs.FS) ([]BuiltIn, error) {
	infos, err := fs.Glob(packages, "*.dist-info")
	if err != nil {
		return nil, err
	}
	all := make([]BuiltIn, len(infos))
	for i, info := range infos {
		b := &all[i]
		if b.Name, b.Version, err = identity(packages, info); err != nil {
			return nil, err
		}
		b.Name = normal(b.Name)
		if b.Metadata, err = fs.ReadFile(packages, info+"/METADATA"); err != nil {
			return nil, err
		}
	}
	return all, nil
}
