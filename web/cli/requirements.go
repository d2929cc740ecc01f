package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	pythonwasi "vivarium/python-wasi"
	"vivarium/web/requirements"
)

// installing are the flags of commands that install what requirements.txt asks for.
type installing struct {
	Refresh bool     `help:"Install requirements.txt again, even if it is in the cache."`
	Without []string `placeholder:"PACKAGE" help:"Package of requirements.txt to leave out; may be given more than once."`
}

// install installs what the requirements.txt of a source asks for, and chooses the
// runtime unless the user has.
func (i installing) install(ctx context.Context, s *session, source *source, l *limits) error {
	guest, ok := richest(), true
	if l.Runtime != "" {
		if guest, ok = pythonwasi.ByRuntime(l.Runtime); !ok {
			return fmt.Errorf("--runtime %s: there are %s", l.Runtime, strings.Join(pythonwasi.Runtimes(), ", "))
		}
	}
	p, err := packagesOf(ctx, s, source, guest, i)
	if blocked := (*requirements.BlockedError)(nil); errors.As(err, &blocked) {
		if optional := pythonwasi.Science.Built(); optional != nil {
			return fmt.Errorf("%w\nnumpy and what stands on it are built into another runtime; %w", err, optional)
		}
	}
	if err != nil {
		return err
	}
	source.packages = p.folder
	if l.Runtime == "" {
		l.Runtime, err = p.runtime()
	}
	return err
}

// richest returns the guest of this program that has the most packages built in.
func richest() pythonwasi.Guest {
	if pythonwasi.Science.Built() == nil {
		return pythonwasi.Science
	}
	return pythonwasi.Full
}

// packages are what a folder's requirements.txt asks for.
type packages struct {
	folder string // of what comes with the code; empty if nothing does
	chosen []requirements.Chosen
}

// Names in the folder of an installation in the cache.
const (
	installedFiles = "files"
	installedList  = "chosen.json"
)

// packagesOf returns the installed packages that a folder's requirements.txt
// asks for; none if it asks for none. Packages with compiled parts must be part of the
// guest, since it has no dynamic linker; others are pure Python wheels.
//
// They are kept in the cache, by requirements and the guest. So a file without
// pinned versions keeps those of its first installation until flags ask for new ones.
func packagesOf(ctx context.Context, s *session, source *source, guest pythonwasi.Guest, flags installing) (*packages, error) {
	list, err := source.requirements()
	if err == nil {
		err = list.Remove(flags.Without)
	}
	if err != nil || list.Empty() {
		return &packages{}, err
	}
	info, err := guest.Info()
	if err != nil {
		return nil, err
	}
	builtIn, err := builtIns(guest)
	if err != nil {
		return nil, err
	}
	key := sha256.New()
	fmt.Fprintf(key, "3 %s\n%s", info.CPython, list)
	for _, b := range builtIn {
		fmt.Fprintf(key, "%s==%s\n", b.Name, b.Version)
	}
	dir := filepath.Join(s.cacheFolder(), "packages", hex.EncodeToString(key.Sum(nil))[:32])
	if _, err := os.Stat(dir); err == nil {
		if !flags.Refresh {
			return installedIn(dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("packages: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("packages: %w; name another directory with --cache-dir", err)
	}
	// Installed next to its place and then renamed, so that it is never seen
	// incomplete.
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	defer os.RemoveAll(unfinished)
	install, err := requirements.Find(ctx, info.CPython, source.path)
	if err == nil {
		install.BuiltIn = builtIn
		done := announce(s.stderr, "installing "+requirements.File+" with "+install.Name+" ...")
		err = installInto(ctx, install, list, unfinished)
		done(err)
	}
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(unfinished, "done"), dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, exists := os.Stat(dir); exists != nil { // otherwise somebody else was faster
			return nil, fmt.Errorf("packages: %w", err)
		}
	}
	p, err := installedIn(dir)
	if err == nil {
		fmt.Fprintln(s.stderr, p)
	}
	return p, err
}

// builtIns returns the packages that are part of a guest.
func builtIns(g pythonwasi.Guest) ([]requirements.BuiltIn, error) {
	site, err := g.Site()
	if err != nil {
		return nil, err
	}
	return requirements.BuiltIns(site)
}

// installInto installs a list below dir, as installedIn finds it in dir/done.
func installInto(ctx context.Context, i *requirements.Installer, list *requirements.List, dir string) error {
	files, chosen, err := i.Install(ctx, list, dir)
	if err != nil {
		return err
	}
	text, err := json.Marshal(chosen)
	if err != nil {
		return err
	}
	done := filepath.Join(dir, "done")
	return errors.Join(os.Mkdir(done, 0o700), os.Rename(files, filepath.Join(done, installedFiles)),
		os.WriteFile(filepath.Join(done, installedList), text, 0o600))
}

// installedIn returns what installInto has left.
func installedIn(dir string) (*packages, error) {
	text, err := os.ReadFile(filepath.Join(dir, installedList))
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	p := &packages{folder: filepath.Join(dir, installedFiles)}
	if err := json.Unmarshal(text, &p.chosen); err != nil {
		return nil, fmt.Errorf("packages: %s: %w", dir, err)
	}
	return p, nil
}

// runtime returns the one with the fewest packages that has those built in that were
// chosen so, or "" if none was.
func (p *packages) runtime() (string, error) {
	all, err := builtIns(pythonwasi.Full)
	if err != nil {
		return "", err
	}
	name := ""
	for _, c := range p.chosen {
		switch {
		case !c.BuiltIn:
		case slices.ContainsFunc(all, c.IsThat):
			name = cmp.Or(name, pythonwasi.Full.Name())
		default:
			name = richest().Name()
		}
	}
	return name, nil
}

// String tells which packages were chosen.
func (p *packages) String() string {
	var added, builtIn []string
	warnings := ""
	for _, c := range p.chosen {
		if c.Missed != "" {
			missed := "version " + c.Missed + " has"
			if c.Missed == requirements.Newer {
				missed = "newer versions have"
			}
			warnings += fmt.Sprintf("\nwarning: %s is not the newest: %s no pure Python wheel", c, missed)
		}
		if c.BuiltIn {
			builtIn = append(builtIn, c.String())
		} else {
			added = append(added, c.String())
		}
	}
	text := "packages: " + strings.Join(added, " ")
	if len(builtIn) > 0 {
		text = strings.TrimSuffix(text, " ") + "\nbuilt in: " + strings.Join(builtIn, " ")
	}
	return text + warnings
}

// requirements returns what the folder's requirements.txt asks for.
func (s *source) requirements() (*requirements.List, error) {
	if s.kind != wholeFolder {
		return &requirements.List{}, nil
	}
	root, err := s.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return requirements.Read(root)
}
