// Command manual builds the manual from all Markdown of the repository: a site and pages
// for man(1). `go tool task docs` calls it; web/manual/README.md describes what it does.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"vivarium/web/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	generator := flag.String("sphinx", "sphinx-build", "the `program` that makes pages of Markdown")
	flag.Parse()
	if err := run(ctx, *generator); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// dist is where the manual is put, below the module's folder.
const dist = "web/manual/dist"

func run(ctx context.Context, generator string) error {
	root, err := output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	// Of the same sources come the same bytes.
	date, err := output(ctx, root, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "vivarium-manual-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	source := filepath.Join(work, "source")
	if err := gather(root, source); err != nil {
		return err
	}
	for _, builder := range []string{"html", "man"} {
		// What it warns of, such as a link that leads nowhere, is a fault of a page.
		c := exec.CommandContext(ctx, generator, "-q", "-W", "--keep-going", "-b", builder,
			"-c", filepath.Join(root, "web/manual"), "-d", filepath.Join(work, "cache"), source, filepath.Join(work, builder))
		c.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+date, "PYTHONDONTWRITEBYTECODE=1")
		if text, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", generator, err, strings.ReplaceAll(string(text), source+"/", ""))
		}
	}
	return install(root, work)
}

// install replaces what dist has by what was made.
func install(root, work string) error {
	site, err := pack(filepath.Join(work, "html"))
	if err != nil {
		return err
	}
	man := filepath.Join(root, dist, "man")
	if err := errors.Join(os.RemoveAll(man), os.MkdirAll(man, 0o755)); err != nil {
		return err
	}
	if err := os.CopyFS(man, os.DirFS(filepath.Join(work, "man"))); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, dist, "site.zip"), site, 0o644)
}

// pack returns a folder as an archive.
func pack(folder string) ([]byte, error) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	site := os.DirFS(folder)
	err := fs.WalkDir(site, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, ".") || name == "objects.inv" { // what only the generator reads
			return err
		}
		text, err := fs.ReadFile(site, name)
		if err != nil {
			return err
		}
		w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Time{}})
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	})
	err = errors.Join(err, archive.Close())
	return packed.Bytes(), err
}

// gather writes the sources of the site into a folder: the pages of the repository, those
// that are made from the program, and pages.json, which tells the generator of both.
func gather(root, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(folder, name+".md"), []byte(text), 0o644)
	}
	repository := links{root: root, pages: map[string]string{}}
	for _, part := range contents {
		for _, p := range part.pages {
			if p.source != "" {
				repository.pages[p.source] = p.name
			}
		}
	}
	for source, name := range repository.pages {
		text, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return err
		}
		if err := write(name, repository.rewrite(source, string(text))); err != nil {
			return err
		}
	}
	made, man, err := reference(root)
	if err != nil {
		return err
	}
	for name, text := range made {
		if err := write(name, text); err != nil {
			return err
		}
	}
	front, err := os.ReadFile(filepath.Join(root, "web/manual/index.md"))
	if err != nil {
		return err
	}
	if err := write("index", repository.rewrite("web/manual/index.md", string(front))+trees()); err != nil {
		return err
	}
	told, err := json.Marshal(map[string]any{"man": man})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "pages.json"), told, 0o644)
}

// manPage is a page for man(1), as Sphinx wants to be told of it.
type manPage [5]any

// reference returns the pages that are made from the program, by name, and which of them
// are for man(1).
func reference(root string) (pages map[string]string, man []manPage, err error) {
	pages = map[string]string{}
	var commands []string
	for _, p := range cli.Reference() {
		pages[p.Name] = p.Text
		man = append(man, manPage{p.Name, p.Name, strings.TrimSuffix(p.Summary, "."), "", 1})
		if p.Name != "vivarium" {
			commands = append(commands, p.Name)
		}
	}
	// The man page of the program leads to the others as the site does.
	pages["vivarium"] += "\n```{toctree}\n:hidden:\n\n" + strings.Join(commands, "\n") + "\n```\n"
	if pages["api"], err = apiPage(); err != nil {
		return nil, nil, err
	}
	if pages["messages"], err = messagesPage(root); err != nil {
		return nil, nil, err
	}
	cases, err := casePages(root)
	for name, text := range cases {
		pages[name] = text
	}
	return pages, man, err
}

// output runs a program in a folder and returns the line that it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	text, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return strings.TrimSpace(string(text)), nil
}
