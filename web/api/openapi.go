package api

import (
	"encoding/json"
	"reflect"
	"strings"

	"vivarium/web/strictjson"
)

// object is a JSON object.
type object = map[string]any

// describe returns the OpenAPI document.
func (h *Handler) describe() []byte { return Describe(h.config.Version) }

// Describe returns the OpenAPI document of a program's version, made from the routes and
// the types of their bodies.
func Describe(version string) []byte {
	schemas, paths := object{}, object{}
	failure := object{
		"description": "The request was not done",
		"content":     content(schema(reflect.TypeFor[Status](), schemas)),
	}
	for _, r := range routes {
		operation := object{
			"operationId": r.id,
			"summary":     r.summary,
			"responses": object{
				"200":     object{"description": "Done", "content": contentOf(reflect.TypeOf(r.answer), schemas)},
				"default": failure,
			},
		}
		parameters := []object{}
		for part := range strings.SplitSeq(r.path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				name, _, _ = strings.Cut(name, "}")
				parameters = append(parameters, object{
					"name": name, "in": "path", "required": true, "schema": object{"type": "string"},
				})
			}
		}
		for _, p := range append([]parameter{folderParameter}, r.query...) {
			parameters = append(parameters, object{
				"name": p.name, "in": "query", "description": p.doc, "schema": r.parameterSchema(p.name),
			})
		}
		operation["parameters"] = parameters
		if role := r.does.Role(); role != "" {
			operation["description"] = "Takes a key with the role " + string(role) + ", where keys are needed."
		}
		if r.body != nil {
			operation["requestBody"] = object{
				"required": true,
				"content":  contentOf(reflect.TypeOf(r.body()).Elem(), schemas),
			}
		}
		path, ok := paths[r.path].(object)
		if !ok {
			path = object{}
			paths[r.path] = path
		}
		path[strings.ToLower(r.method)] = operation
	}
	if version == "" {
		version = "dev"
	}
	document, err := json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title":   "Vivarium management API",
			"version": version,
			"description": "Functions, versions and tags, in the paths and the JSON of the Yandex Cloud Functions API. " +
				"64-bit numbers are strings, durations seconds (\"5s\"), bytes base64, times RFC 3339. Unknown fields are refused.",
		},
		"servers": []object{{"url": BasePath}},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer"}},
		},
		"security": []object{{"key": []string{}}, {}},
	}, "", "  ")
	if err != nil { // it consists of maps and strings
		panic(err)
	}
	return append(document, '\n')
}

// contentOf is a body: JSON, an archive or a file.
func contentOf(t reflect.Type, schemas object) object {
	switch t {
	case reflect.TypeFor[archive]():
		return object{"application/zip": object{"schema": schema(t, schemas)}}
	case reflect.TypeFor[file]():
		return object{"application/octet-stream": object{"schema": schema(t, schemas)}}
	}
	return content(schema(t, schemas))
}

// content is a body of JSON.
func content(schema object) object {
	return object{"application/json": object{"schema": schema}}
}

// schema describes a type. Structs become schemas of their own, to which it
// refers.
func schema(t reflect.Type, schemas object) object {
	switch t {
	case reflect.TypeFor[Int64]():
		return object{"type": "string", "format": "int64"}
	case reflect.TypeFor[Duration]():
		return object{"type": "string", "example": "5s", "pattern": `^[0-9]+(\.[0-9]+)?s$`}
	case reflect.TypeFor[Time]():
		return object{"type": "string", "format": "date-time", "nullable": true}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	case reflect.TypeFor[archive](), reflect.TypeFor[file]():
		return object{"type": "string", "format": "binary"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "format": "byte"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), schemas)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem(), schemas)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), schemas)}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		if t.Name() == "" {
			return object{"type": "object"}
		}
	default:
		panic("api: no schema for " + t.String())
	}
	reference := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, ok := schemas[t.Name()]; ok {
		return reference
	}
	properties := object{}
	// In its place before its fields are looked at, since types may contain
	// themselves.
	of := object{"type": "object", "additionalProperties": false, "properties": properties}
	constrain(of, t, "")
	schemas[t.Name()] = of
	for _, f := range reflect.VisibleFields(t) { // with those of embedded structs
		name := strictjson.FieldName(f)
		if name == "" {
			continue
		}
		property := schema(f.Type, schemas)
		constrain(property, t, name)
		if doc := f.Tag.Get("doc"); doc != "" {
			if _, ok := property["$ref"]; ok { // which must stand alone
				property = object{"allOf": []object{property}}
			}
			property["description"] = doc
		}
		properties[name] = property
	}
	return reference
}
