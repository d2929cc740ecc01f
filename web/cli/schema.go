package cli

import (
	"reflect"
	"strings"

	pythonwasi "vivarium/python-wasi"
	"vivarium/web/strictyaml"
)

// schemaCommand implements `vivarium schema`.
type schemaCommand struct{}

// Help is shown by `vivarium schema --help`.
func (*schemaCommand) Help() string {
	return `Editors with a YAML language server complete and check vivarium.yaml with it, if the file begins with a line
# yaml-language-server: $schema=vivarium.schema.json

Example:
  vivarium schema > vivarium.schema.json`
}

// Run implements the command.
func (*schemaCommand) Run(s *session) error {
	expand := strings.NewReplacer("${runtimes}", strings.Join(pythonwasi.Runtimes(), ", "), " (${default})", "")
	return printJSON(s.stdout, strictyaml.Schema(reflect.TypeFor[projectText](), expand.Replace))
}
