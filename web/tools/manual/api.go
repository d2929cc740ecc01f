package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"vivarium/web/api"
)

// document is what the manual tells of an OpenAPI document.
type document struct {
	Info struct {
		Description string `json:"description"`
	} `json:"info"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Summary     string `json:"summary"`
	Description string `json:"description"`
	Parameters  []struct {
		Name, In, Description string
		Schema                schema
	} `json:"parameters"`
	RequestBody *body           `json:"requestBody"`
	Responses   map[string]body `json:"responses"`
}

type body struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type schema struct {
	Ref                  string            `json:"$ref"`
	AllOf                []schema          `json:"allOf"`
	Type                 string            `json:"type"`
	Format               string            `json:"format"`
	Description          string            `json:"description"`
	Items                *schema           `json:"items"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Properties           map[string]schema `json:"properties"`
	Required             []string          `json:"required"`
	Enum                 []any             `json:"enum"`
	Pattern              string            `json:"pattern"`
}

var methods = []string{"get", "post", "put", "patch", "delete"}

// apiPage returns the page about the management API.
func apiPage() (string, error) {
	var d document
	if err := json.Unmarshal(api.Describe(""), &d); err != nil {
		return "", fmt.Errorf("the description of the API: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# The management API\n\n%s Paths are below `%s`, where `openapi.json` says the same to programs; "+
		"[the server](server.md) tells how it is used.\n", plain(d.Info.Description), api.BasePath)
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range methods {
			if o, ok := d.Paths[path][method]; ok {
				fmt.Fprintf(&b, "\n## %s %s\n\n", strings.ToUpper(method), plain(path))
				o.describe(&b)
			}
		}
	}
	b.WriteString("\n## Types\n")
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		fmt.Fprintf(&b, "\n(type-%s)=\n### %s\n\n", name, name)
		d.Components.Schemas[name].describe(&b)
	}
	return b.String(), nil
}

func (o operation) describe(b *strings.Builder) {
	fmt.Fprintf(b, "%s. %s\n", plain(o.Summary), plain(o.Description))
	if len(o.Parameters) > 0 {
		b.WriteString("\n| Parameter | In | Type | |\n|---|---|---|---|\n")
		for _, p := range o.Parameters {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.In, p.Schema.name(), cell(p.Description))
		}
	}
	if o.RequestBody != nil {
		fmt.Fprintf(b, "\nBody: %s\n", o.RequestBody.name())
	}
	if answer, ok := o.Responses["200"]; ok {
		fmt.Fprintf(b, "\nAnswer: %s\n", answer.name())
	}
}

func (c body) name() string {
	for kind, of := range c.Content {
		if kind != "application/json" {
			return "`" + kind + "`"
		}
		return of.Schema.name()
	}
	return "none"
}

// name returns how a schema is called, with a link if it is one of Types.
func (s schema) name() string {
	for _, one := range s.AllOf {
		if one.Ref != "" {
			return one.name()
		}
	}
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return "[" + name + "](#type-" + name + ")"
	case s.Items != nil:
		return "list of " + s.Items.name()
	case len(s.AdditionalProperties) > 0 && s.AdditionalProperties[0] == '{':
		var values schema
		_ = json.Unmarshal(s.AdditionalProperties, &values) // it was decoded before
		return "object, its values " + values.name()
	case s.Format != "":
		return s.Type + ", " + s.Format
	case s.Type == "":
		return "any"
	}
	return s.Type
}

func (s schema) describe(b *strings.Builder) {
	if s.Description != "" {
		fmt.Fprintf(b, "%s\n\n", plain(s.Description))
	}
	if len(s.Properties) == 0 {
		fmt.Fprintf(b, "%s\n", s.name())
		return
	}
	b.WriteString("| Field | Type | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		notes := []string{}
		if slices.Contains(s.Required, name) {
			notes = append(notes, "required")
		}
		if len(p.Enum) > 0 {
			values := []string{}
			for _, v := range p.Enum {
				values = append(values, fmt.Sprint("`", v, "`"))
			}
			notes = append(notes, "one of "+strings.Join(values, ", "))
		}
		if p.Pattern != "" {
			notes = append(notes, "`"+strings.ReplaceAll(p.Pattern, "|", `\|`)+"`")
		}
		if p.Description != "" {
			notes = append(notes, cell(p.Description))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, p.name(), strings.Join(notes, "; "))
	}
}

var special = regexp.MustCompile("[\\\\`*_\\[\\]<>#|~${}]")

// plain returns text as Markdown.
func plain(text string) string { return special.ReplaceAllString(text, `\$0`) }

// cell returns text for a cell of a table.
func cell(text string) string { return plain(strings.ReplaceAll(text, "\n", " ")) }
