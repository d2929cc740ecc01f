package api

import (
	"reflect"

	"vivarium/host/access"
	"vivarium/host/run"
	pythonwasi "vivarium/python-wasi"
	"vivarium/web/manage"
)

// What a request's fields must keep to is checked by the host. Here it is for
// those who read the description, so that they need not find it out.

const (
	namePattern = `^[a-z][-a-z0-9]{1,61}[a-z0-9]$`
	tagPattern  = `^[a-z][-_0-9a-z]{0,62}$`
)

// constraints are what JSON Schema adds to the types of fields, by
// "Type.field", and to types, by "Type".
var constraints = map[string]object{
	"CreateFunctionRequest.name":        {"pattern": `^([a-z][-a-z0-9]{1,61}[a-z0-9])?$`},
	"CreateFunctionRequest.description": {"maxLength": 600},
	"CreateFunctionRequest.labels":      {"maxProperties": 64},
	"UpdateFunctionRequest.name":        {"pattern": `^([a-z][-a-z0-9]{1,61}[a-z0-9])?$`},
	"UpdateFunctionRequest.description": {"maxLength": 600},
	"UpdateFunctionRequest.labels":      {"maxProperties": 64},

	"CreateVersionRequest":             {"required": []string{"functionId", "entrypoint"}},
	"CreateVersionRequest.runtime":     {"enum": append([]string{""}, pythonwasi.Runtimes()...)},
	"CreateVersionRequest.description": {"maxLength": 600},
	"CreateVersionRequest.entrypoint":  {"minLength": 1, "maxLength": 256},
	"CreateVersionRequest.tag":         {"maxItems": 10, "items": object{"type": "string", "pattern": tagPattern}},
	"CreateVersionRequest.concurrency": {"enum": []string{"0", "1"}},
	"CreateVersionRequest.tmpfsSize":   {"enum": []string{"0", "536870912"}},
	"LogOptions.minLevel":              {"enum": []string{"", "LEVEL_UNSPECIFIED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}},

	"TagRequest":     {"required": []string{"tag"}},
	"TagRequest.tag": {"pattern": tagPattern},

	"SetScalingPolicyRequest":      {"required": []string{"tag"}},
	"RemoveScalingPolicyRequest":   {"required": []string{"tag"}},
	"AccessBindingDelta.action":    {"enum": []string{"ADD", "REMOVE"}},
	"AccessBinding.roleId":         {"enum": []string{"functions.functionInvoker", "serverless.functions.invoker"}},
	"Subject.id":                   {"enum": []string{"allUsers"}},
	"Subject.type":                 {"enum": []string{"system"}},
	"CreateTimerRequest":           {"required": []string{"name", "functionId", "cronExpression"}},
	"CreateTimerRequest.name":      {"pattern": namePattern},
	"CreateKeyRequest":             {"required": []string{"role"}},
	"CreateKeyRequest.role":        {"enum": access.Roles},
	"CreateKeyRequest.description": {"maxLength": 600},
	"CallPolicy.redact":            {"maxItems": 64},
	"SetQuotasRequest":             {"required": []string{"folderId"}},
	"RunSnippetRequest":            {"required": []string{"code"}},
	"RunCodeRequest":               {"required": []string{"code"}},
	"RunSnippetRequest.outputs":    {"maxItems": run.MaxSnippetFiles},
	"SessionFile":                  {"required": []string{"path"}},
	"AsyncConfig.retriesCount":     {"pattern": `^([0-9]|[1-9][0-9]|100)$`},
	"FunctionTarget":               {"required": []string{"functionId"}},
}

// parameterSchemas are the schemas of those parameters of queries that are not any
// string.
var parameterSchemas = map[string]object{
	"pageSize": {"type": "integer", "minimum": 0, "maximum": manage.MaxPage},
	"follow":   {"type": "boolean"},
	"force":    {"type": "boolean"},
	"minLevel": {"type": "string", "enum": []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}},
	"since":    {"type": "string", "format": "date-time"},
	"until":    {"type": "string", "format": "date-time"},
	"failed":   {"type": "boolean"},
}

// parameterSchema returns the schema of a parameter of a route's query.
func (r *route) parameterSchema(name string) object {
	if name == "limit" {
		most := manage.MaxPage
		if r.id == "readFunctionLogs" {
			most = maxLogLimit
		}
		return object{"type": "integer", "minimum": 0, "maximum": most}
	}
	if s, ok := parameterSchemas[name]; ok {
		return s
	}
	return object{"type": "string"}
}

// constrain adds to a schema what holds for a type, or for a field of it.
func constrain(schema object, t reflect.Type, field string) {
	key := t.Name()
	if field != "" {
		key += "." + field
	}
	for name, value := range constraints[key] {
		schema[name] = value
	}
}
