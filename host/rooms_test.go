package host

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Bounds of what one has to know of a room before one can use or change it.
const (
	maxExported = 50 // names of a package, methods and fields not counted
	maxMethods  = 25 // of a type, of interfaces too
)

// rooms returns the files of each package of host, without tests, by directory.
func rooms(t *testing.T) map[string][]*ast.File {
	t.Helper()
	rooms, files := map[string][]*ast.File{}, token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		rooms[filepath.Dir(path)] = append(rooms[filepath.Dir(path)], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	switch g := e.(type) {
	case *ast.IndexExpr:
		e = g.X
	case *ast.IndexListExpr:
		e = g.X
	}
	return e.(*ast.Ident).Name
}

func TestRooms_AreNarrow(t *testing.T) {
	for room, files := range rooms(t) {
		exported, methods := map[string]bool{}, map[string]int{}
		note := func(name string) {
			if ast.IsExported(name) {
				exported[name] = true
			}
		}
		for _, f := range files {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv != nil {
						methods[receiver(d)]++
					} else {
						note(d.Name.Name)
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						switch s := s.(type) {
						case *ast.ValueSpec:
							for _, n := range s.Names {
								note(n.Name)
							}
						case *ast.TypeSpec:
							note(s.Name.Name)
							if i, ok := s.Type.(*ast.InterfaceType); ok {
								methods[s.Name.Name] = i.Methods.NumFields()
							}
						}
					}
				}
			}
		}
		if len(exported) > maxExported {
			t.Errorf("%s exports %d names, at most %d may be", room, len(exported), maxExported)
		}
		for name, n := range methods {
			if n > maxMethods {
				t.Errorf("%s.%s has %d methods, at most %d may be", room, name, n, maxMethods)
			}
		}
		t.Logf("%s: %d exported names", room, len(exported))
	}
}

// writers says which room writes which part of the store.
var writers = map[string]string{
	"Functions": "catalog", "Versions": "catalog", "Names": "catalog", "Code": "catalog",
	"Queue": "events", "Letters": "events", "Timers": "events", "Logs": "logs", "Calls": "history", "Keys": "keys", "Quotas": ".",
}

// reads are methods of the store's parts that change nothing.
var reads = map[string]bool{"Get": true, "Len": true}

// What is kept is written in one place, so that what holds for it is checked in one place.
func TestRooms_WriteWhatIsTheirs(t *testing.T) {
	found := map[string]bool{}
	for room, files := range rooms(t) {
		if room == "store" {
			continue
		}
		for _, f := range files {
			reading := map[ast.Expr]bool{}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				reading[s.X] = reads[s.Sel.Name]
				if writer := writers[s.Sel.Name]; writer != "" && isStore(s.X) {
					found[s.Sel.Name] = true
					if writer != room && !reading[s] {
						t.Errorf("%s uses the store's %s, which only %s may change", room, s.Sel.Name, writer)
					}
				}
				return true
			})
		}
	}
	if len(found) < len(writers) {
		t.Errorf("of the store's parts, only %v are found", found)
	}
}

// isStore reports whether an expression is a store, going by its name.
func isStore(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "store")
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "store")
	}
	return false
}
