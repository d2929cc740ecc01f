package cli

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// parsed is a block of a file of HCL: its arguments by name, and the blocks in it.
type parsed struct {
	arguments map[string]cty.Value
	blocks    map[string][]parsed // by type, and labels
}

// parseHCL reads a file as Terraform does; references stand for their own text.
func parseHCL(t *testing.T, text string) parsed {
	t.Helper()
	file, diagnostics := hclsyntax.ParseConfig([]byte(text), "functions.tf", hcl.InitialPos)
	if diagnostics.HasErrors() {
		t.Fatalf("%v\n%s", diagnostics, text)
	}
	return readBody(t, file.Body.(*hclsyntax.Body), []byte(text))
}

func readBody(t *testing.T, body *hclsyntax.Body, text []byte) parsed {
	t.Helper()
	p := parsed{map[string]cty.Value{}, map[string][]parsed{}}
	for name, a := range body.Attributes {
		value, diagnostics := a.Expr.Value(evaluation(a.Expr, text))
		if diagnostics.HasErrors() {
			t.Fatalf("%s: %v", name, diagnostics)
		}
		p.arguments[name] = value
	}
	for _, b := range body.Blocks {
		key := strings.Join(append([]string{b.Type}, b.Labels...), " ")
		p.blocks[key] = append(p.blocks[key], readBody(t, b.Body, text))
	}
	return p
}

// evaluation lets an expression be evaluated without Terraform.
func evaluation(e hclsyntax.Expression, text []byte) *hcl.EvalContext {
	c := &hcl.EvalContext{Variables: map[string]cty.Value{"string": cty.StringVal("string")}, Functions: map[string]function.Function{
		"filesha256": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}}, Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
		}),
	}}
	roots := map[string]map[string]cty.Value{}
	for _, v := range e.Variables() {
		root := v.RootName()
		if root == "string" {
			continue
		}
		if roots[root] == nil {
			roots[root] = map[string]cty.Value{}
		}
		rest := string(v.SourceRange().SliceBytes(text))
		parts := strings.Split(rest, ".")
		value := cty.StringVal(rest)
		for i := len(parts) - 1; i > 1; i-- {
			value = cty.ObjectVal(map[string]cty.Value{parts[i]: value})
		}
		roots[root][parts[1]] = value
	}
	for root, members := range roots {
		c.Variables[root] = cty.ObjectVal(members)
	}
	return c
}

// want compares arguments that are texts or numbers.
func (p parsed) want(t *testing.T, block string, arguments map[string]string) parsed {
	t.Helper()
	found := p.blocks[block]
	if len(found) != 1 {
		t.Fatalf("there are %d blocks %s among %v", len(found), block, len(p.blocks))
	}
	for name, want := range arguments {
		value, ok := found[0].arguments[name]
		got := "nothing"
		switch {
		case !ok:
		case value.Type() == cty.String:
			got = value.AsString()
		case value.Type() == cty.Number:
			got = value.AsBigFloat().String()
		}
		if got != want {
			t.Errorf("%s: %s is %q, want %q", block, name, got, want)
		}
	}
	return found[0]
}

// nasty is a text in which templates, quotes and control characters would do harm if
// they were not escaped.
const nasty = "a\"b\\c ${file(\"/etc/passwd\")} %{ if true } $${x} $ % \u202e \x1b[31m é 🐍"

func TestExportTerraform_FromAProject(t *testing.T) {
	files := projectFiles()
	files[projectFile] = strings.NewReplacer(
		"COLOUR: blue", `COLOUR: "a\"b\\c ${file(\"/etc/passwd\")} %{ if true } $${x} $ % \u202e \e[31m é 🐍"`,
		"payload: hello", `payload: "two\nlines"`, "proj-two: {", "proj-two: {allow-net: example.com, min-log-level: warn, ",
		"timers:\n", "timers:\n      proj-zoned: {cron: '0 1 * * *', time-zone: Europe/Berlin}\n",
	).Replace(twoFunctions)
	dir := writeFiles(t, files)
	t.Chdir(dir)
	code, stdout, stderr := execute("", "export", "terraform", "--archives", "zips")
	if code != ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	p := parseHCL(t, stdout)
	f := p.want(t, "resource yandex_function proj_one", map[string]string{
		"name": "proj-one", "runtime": "python312", "entrypoint": "main.handler", "memory": "256", "execution_timeout": "60",
		"user_hash": "zips/proj-one.zip", "description": "the first",
	})
	environment := f.arguments["environment"].AsValueMap()
	if got := environment["COLOUR"].AsString(); got != nasty {
		t.Errorf("the environment has %q, want %q", got, nasty)
	}
	if got := environment["SECRET"].AsString(); got != "var.proj_one_SECRET" || strings.Contains(stdout, `"s"`) {
		t.Errorf("the variable of a file is %s in\n%s", got, stdout)
	}
	if got := environment["N"].AsString(); got != "1" {
		t.Errorf("N is %s", got)
	}
	p.want(t, "variable proj_one_SECRET", nil)
	f.want(t, "content", map[string]string{"zip_filename": "zips/proj-one.zip"})
	f.want(t, "async_invocation", map[string]string{"retries_count": "2", "service_account_id": "var.invoker_service_account_id"})
	p.want(t, "variable invoker_service_account_id", nil)
	if tags := f.arguments["tags"].AsValueSlice(); len(tags) != 1 || tags[0].AsString() != "prod" {
		t.Errorf("tags are %v", tags)
	}
	p.want(t, "resource yandex_function_iam_binding proj_one_public", map[string]string{
		"function_id": "yandex_function.proj_one.id", "role": "functions.functionInvoker",
	})
	p.want(t, "resource yandex_function_scaling_policy proj_one", nil).want(t, "policy", map[string]string{
		"tag": "$latest", "zone_instances_limit": "3", "zone_requests_limit": "0",
	})
	timer := p.want(t, "resource yandex_function_trigger proj_one_proj_tick", map[string]string{"name": "proj-tick"})
	timer.want(t, "timer", map[string]string{"cron_expression": "0 3 * * ? *", "payload": "two\nlines"})
	timer.want(t, "function", map[string]string{
		"id": "yandex_function.proj_one.id", "tag": "$latest", "retry_attempts": "2", "retry_interval": "20",
	})
	two := p.want(t, "resource yandex_function proj_two", map[string]string{"name": "proj-two"})
	two.want(t, "log_options", map[string]string{"min_level": "WARN"})
	for _, want := range []string{
		"proj-one: The timer proj-zoned, 0 1 * * *, can't be expressed: its times are those of Europe/Berlin",
		"proj-one: The success target of asynchronous calls, the function proj-two, can't be expressed",
		"proj-two: The network was restricted to example.com",
	} {
		if _, text, _ := strings.Cut(want, ": "); !strings.Contains(stderr, want) || !strings.Contains(stdout, "# "+text) {
			t.Errorf("%q is not in both of\n%s\n%s", want, stderr, stdout)
		}
	}
	if len(p.blocks) != 8 {
		t.Errorf("there are %d kinds of blocks in\n%s", len(p.blocks), stdout)
	}
	archive, err := zip.OpenReader("zips/proj-one.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if len(archive.File) != 1 || archive.File[0].Name != "main.py" {
		t.Errorf("the archive has %d files", len(archive.File))
	}
}

func TestExportTerraform_FromAServer(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	dir := writeFiles(t, map[string]string{"main.py": answering("x")})
	must(t, "deploy", "tf-served", dir, "--env", "A="+nasty, "--memory", "384", "--timeout", "1500ms", "--tag", "blue", "--tag", "green")
	must(t, "timer", "create", "tf-timer", "tf-served", "--cron", "@hourly")
	out := t.TempDir()
	code, stdout, stderr := execute("", "export", "terraform", "--from-server", "--archives", out)
	if code != ExitOK || !strings.Contains(stderr, "tf-served: The timeout was 1.5s; the cloud's are whole seconds") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	p := parseHCL(t, stdout)
	f := p.want(t, "resource yandex_function tf_served", map[string]string{"name": "tf-served", "memory": "384", "execution_timeout": "2"})
	if got := f.arguments["environment"].AsValueMap()["A"].AsString(); got != nasty {
		t.Errorf("the environment has %q", got)
	}
	tags := []string{}
	for _, tag := range f.arguments["tags"].AsValueSlice() {
		tags = append(tags, tag.AsString())
	}
	if slices.Sort(tags); !slices.Equal(tags, []string{"blue", "green"}) {
		t.Errorf("tags are %v", tags)
	}
	p.want(t, "resource yandex_function_trigger tf_served_tf_timer", nil).want(t, "timer", map[string]string{"cron_expression": "0 * * * ? *"})
	archive, err := os.ReadFile(filepath.Join(out, "tf-served.zip"))
	if err != nil || !strings.HasPrefix(string(archive), "PK") {
		t.Errorf("the archive: %.20q, %v", archive, err)
	}
}
