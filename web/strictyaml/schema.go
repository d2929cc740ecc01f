package strictyaml

import (
	"reflect"
)

// Schema returns a JSON schema of what Decode accepts for a struct. Help makes the
// description of a key from its Help.
func Schema(t reflect.Type, help func(string) string) map[string]any {
	schema := schemer{help}.schema(t)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return schema
}

// schemer makes schemas.
type schemer struct{ help func(string) string }

func (s schemer) schema(t reflect.Type) map[string]any {
	switch {
	case t.Kind() == reflect.Pointer:
		return s.schema(t.Elem())
	case reflect.PointerTo(t).Implements(textType):
		return map[string]any{"type": []string{"string", "integer"}}
	case t == durationType:
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": []string{"string", "number"}}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.schema(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	}
	return map[string]any{"type": "integer"}
}

func (s schemer) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, k := range Keys(t) {
		property := s.schema(k.Type)
		if k.Help != "" {
			property["description"] = s.help(k.Help)
		}
		if k.Default != "" {
			property["default"] = k.Default
		}
		if k.Required {
			required = append(required, k.Name)
		}
		properties[k.Name] = property
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}
