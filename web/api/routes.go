package api

import (
	"net/http"
	"slices"
	"strings"

	"vivarium/host/access"
)

// route is one request that the API answers.
type route struct {
	method  string
	path    string           // below BasePath; {name} stands for one element
	does    access.Operation // of the host's, which says what role the caller must have
	id      string           // in the description
	summary string
	query   []parameter
	body    func() any // returns a pointer to a new body; nil when there is none
	upload  bool       // the body carries code
	answer  any        // of the type that is answered
	serve   func(*Handler, *request) (any, error)
}

// looksUp reports whether what is answered is made at once, of what there is.
func (r *route) looksUp() bool {
	switch r.answer.(type) {
	case file, archive, ListLogsResponse: // whose parts are written one by one, or counted before
		return false
	}
	return r.method == http.MethodGet
}

// parameter is a parameter of a query.
type parameter struct{ name, doc string }

// body returns a route's body.
func body[T any]() any { return new(T) }

var (
	pageParameters = []parameter{
		{"pageSize", "Most items in the answer, 0 to 1000. Default: 100."},
		{"pageToken", "The nextPageToken of the answer before."},
	}
)

func pageAnd(more ...parameter) []parameter { return append(more, pageParameters...) }

// routes is the whole API.
var routes = []route{
	{http.MethodGet, "/functions", "Functions", "listFunctions", "List functions, in order of name",
		pageAnd(parameter{"filter", `Only functions of a name: name="NAME".`}),
		nil, false, ListFunctionsResponse{}, (*Handler).listFunctions},
	{http.MethodPost, "/functions", "CreateFunction", "createFunction", "Create a function, which has no version yet",
		nil, body[CreateFunctionRequest], false, Operation{}, (*Handler).createFunction},
	{http.MethodGet, "/functions/{functionId}", "Function", "getFunction", "Get a function by id or name",
		nil, nil, false, Function{}, (*Handler).getFunction},
	{http.MethodPatch, "/functions/{functionId}", "UpdateFunction", "updateFunction", "Change name, description or labels",
		nil, body[UpdateFunctionRequest], false, Operation{}, (*Handler).updateFunction},
	{http.MethodDelete, "/functions/{functionId}", "DeleteFunction", "deleteFunction", "Delete a function and its versions, once its calls are done",
		nil, nil, false, Operation{}, (*Handler).deleteFunction},
	{http.MethodGet, "/functions/{functionId}:tagHistory", "TagHistory", "listFunctionTagHistory", "List which versions have carried which tags, newest first",
		pageAnd(parameter{"tag", "Only of this tag."}), nil, false, ListTagHistoryResponse{}, (*Handler).tagHistory},
	{http.MethodGet, "/functions/{functionId}/operations", "Function", "listFunctionOperations", "List the last changes of a function, newest first",
		pageParameters, nil, false, ListOperationsResponse{}, (*Handler).listOperations},
	{http.MethodGet, "/functions/{functionId}:logs", "ReadLogs", "readFunctionLogs", "Read the execution log, oldest entry first",
		[]parameter{
			{"since", "Entries from this time on, RFC 3339."},
			{"until", "Entries before this time, RFC 3339."},
			{"minLevel", "TRACE, DEBUG, INFO, WARN, ERROR or FATAL; entries without a level count as INFO."},
			{"contains", "Entries whose message has this text, in upper or lower case."},
			{"requestId", "Entries of one call."},
			{"versionId", "Entries of one version."},
			{"limit", "Most entries: the newest; up to 10000. Default: 1000."},
			{"follow", "true: go on with entries as they come, one JSON object a line (application/x-ndjson)."},
		}, nil, false, ListLogsResponse{}, (*Handler).logs},

	{http.MethodGet, "/functions/{functionId}/calls", "Calls", "listFunctionCalls", "List calls in the history, newest first, without events and answers; not the cloud's",
		[]parameter{
			{"since", "Calls received from this time on, RFC 3339."},
			{"until", "Calls received before this time, RFC 3339."},
			{"versionId", "Calls of one version."},
			{"requestId", "Calls with this request id."},
			{"failed", "true: only those with a status of 400 and more."},
			{"before", "Calls older than the one with this id: those of the next page."},
			{"limit", "Most calls: the newest; up to 1000. Default: 100."},
		}, nil, false, ListCallsResponse{}, (*Handler).listCalls},
	{http.MethodGet, "/calls/{callId}", "Call", "getCall", "Get a call with its event, its answer and its connections; not the cloud's",
		nil, nil, false, Call{}, (*Handler).getCall},
	{http.MethodPost, "/calls/{callId}:replay", "ReplayCall", "replayCall", "Make a call again, of another version or with another event too, and get the new one; not the cloud's",
		nil, body[ReplayCallRequest], false, Call{}, (*Handler).replayCall},

	{http.MethodGet, "/functions:figures", "Figures", "listFunctionFigures", "Get what became of all functions' calls within the last five minutes, in order of name",
		pageParameters, nil, false, ListFiguresResponse{}, (*Handler).listFigures},
	{http.MethodGet, "/functions/{functionId}:figures", "FunctionFigures", "getFunctionFigures", "Get what became of a function's calls within the last ten minutes",
		nil, nil, false, FunctionFigures{}, (*Handler).getFigures},

	{http.MethodGet, "/functions/{functionId}:listAccessBindings", "Function", "listFunctionAccessBindings", "List who may call a function without a key of its folder",
		pageParameters, nil, false, ListAccessBindingsResponse{}, (*Handler).listBindings},
	{http.MethodPost, "/functions/{functionId}:setAccessBindings", "SetPublic", "setFunctionAccessBindings", "Make a function public or private",
		nil, body[SetAccessBindingsRequest], false, Operation{}, (*Handler).setBindings},
	{http.MethodPost, "/functions/{functionId}:updateAccessBindings", "SetPublic", "updateFunctionAccessBindings", "Make a function public or private, in changes",
		nil, body[UpdateAccessBindingsRequest], false, Operation{}, (*Handler).updateBindings},

	{http.MethodGet, "/functions/{functionId}/scalingPolicies", "ScalingPolicies", "listScalingPolicies", "List the scaling policies, in order of tag",
		pageParameters, nil, false, ListScalingPoliciesResponse{}, (*Handler).listPolicies},
	{http.MethodPost, "/functions/{functionId}:setScalingPolicy", "SetScalingPolicy", "setScalingPolicy", "Set the scaling policy of a tag",
		nil, body[SetScalingPolicyRequest], false, Operation{}, (*Handler).setPolicy},
	{http.MethodPost, "/functions/{functionId}:removeScalingPolicy", "RemoveScalingPolicy", "removeScalingPolicy", "Remove the scaling policy of a tag",
		nil, body[RemoveScalingPolicyRequest], false, Operation{}, (*Handler).removePolicy},

	{http.MethodGet, "/versions", "Versions", "listFunctionVersions", "List versions, newest first",
		pageAnd(parameter{"functionId", "Only of this function, by id or name."}),
		nil, false, ListVersionsResponse{}, (*Handler).listVersions},
	{http.MethodPost, "/versions", "CreateVersion", "createFunctionVersion", "Create a version; it carries $latest at once",
		nil, body[CreateVersionRequest], true, Operation{}, (*Handler).createVersion},
	{http.MethodGet, "/versions:byTag", "VersionByTag", "getFunctionVersionByTag", "Get the version that carries a tag",
		[]parameter{{"functionId", "Id or name."}, {"tag", "Default: $latest."}},
		nil, false, Version{}, (*Handler).getVersionByTag},
	{http.MethodGet, "/versions/{functionVersionId}", "Version", "getFunctionVersion", "Get a version",
		nil, nil, false, Version{}, (*Handler).getVersion},
	{http.MethodGet, "/versions/{functionVersionId}:download", "Archive", "downloadFunctionVersion", "Get the archive that a version was made from",
		nil, nil, false, archive(nil), (*Handler).download},
	{http.MethodDelete, "/versions/{functionVersionId}", "DeleteVersion", "deleteFunctionVersion", "Delete a version, once its calls are done",
		[]parameter{{"force", "true: even one that carries tags."}},
		nil, false, Operation{}, (*Handler).deleteVersion},
	{http.MethodPost, "/versions/{functionVersionId}:setTag", "SetTag", "setFunctionTag", "Put a tag on a version; it leaves the one that had it",
		nil, body[TagRequest], false, Operation{}, (*Handler).setTag},
	{http.MethodPost, "/versions/{functionVersionId}:removeTag", "RemoveTag", "removeFunctionTag", "Take a tag from a version",
		nil, body[TagRequest], false, Operation{}, (*Handler).removeTag},

	{http.MethodGet, "/quotas", "Quotas", "getQuotas", "Get what a tenant may have and has; not the cloud's",
		nil, nil, false, TenantQuotas{}, (*Handler).getQuotas},
	{http.MethodPatch, "/quotas", "SetQuotas", "setQuotas", "Change what a tenant may have; not the cloud's",
		nil, body[SetQuotasRequest], false, TenantQuotas{}, (*Handler).setQuotas},
	{http.MethodGet, "/tenants", "Tenants", "listTenants", "List the tenants that have something or quotas of their own, in order of name; not the cloud's",
		pageParameters, nil, false, ListTenantsResponse{}, (*Handler).listTenants},

	{http.MethodGet, "/nodes", "Nodes", "listNodes", "List the nodes of the cluster, in order of address; not the cloud's",
		nil, nil, false, ListNodesResponse{}, (*Handler).listNodes},
	{http.MethodPost, "/nodes:drain", "DrainNode", "drainNode", "Have other nodes take a node's calls, until it is undrained or starts anew; not the cloud's",
		nil, body[NodeRequest], false, Node{}, (*Handler).drainNode},
	{http.MethodPost, "/nodes:undrain", "DrainNode", "undrainNode", "Have a node take its share of the calls again; not the cloud's",
		nil, body[NodeRequest], false, Node{}, (*Handler).undrainNode},

	{http.MethodGet, "/runtimes", "Runtimes", "listRuntimes", "List the names that a version's runtime may have",
		nil, nil, false, ListRuntimesResponse{}, (*Handler).listRuntimes},
	{http.MethodGet, "/operations/{operationId}", "Operation", "getOperation", "Get what became of a change; also at /operations/{operationId}",
		nil, nil, false, Operation{}, (*Handler).getOperation},

	{http.MethodGet, "/deadLetters", "DeadLetters", "listDeadLetters", "List asynchronous calls that failed for good, oldest first",
		[]parameter{{"functionId", "Only of this function, by id or name."}, {"limit", "Most items, up to 1000, and fewer when they are long. Default: 100."},
			{"pageToken", "The nextPageToken of the answer before."}},
		nil, false, ListDeadLettersResponse{}, (*Handler).listDeadLetters},
	{http.MethodPost, "/deadLetters/{deadLetterId}:replay", "ReplayDeadLetter", "replayDeadLetter", "Queue a dead letter's call again",
		nil, nil, false, ReplayResponse{}, (*Handler).replayDeadLetter},
	{http.MethodGet, "/timers", "Timers", "listTimers", "List timers, in order of name",
		[]parameter{{"functionId", "Only of this function, by id or name."}},
		nil, false, ListTimersResponse{}, (*Handler).listTimers},
	{http.MethodPost, "/timers", "CreateTimer", "createTimer", "Create a timer",
		nil, body[CreateTimerRequest], false, Operation{}, (*Handler).createTimer},
	{http.MethodPost, "/timers/{timerId}:pause", "UpdateTimer", "pauseTimer", "Have a timer, by id or name, not tick until it is resumed",
		nil, nil, false, Operation{}, (*Handler).pauseTimer},
	{http.MethodPost, "/timers/{timerId}:resume", "UpdateTimer", "resumeTimer", "Have a paused timer tick again; what it has not ticked is not made up for",
		nil, nil, false, Operation{}, (*Handler).resumeTimer},
	{http.MethodDelete, "/timers/{timerId}", "DeleteTimer", "deleteTimer", "Delete a timer by id or name",
		nil, nil, false, Operation{}, (*Handler).deleteTimer},

	{http.MethodGet, "/secrets", "Secrets", "listSecrets", "List secrets, in order of tenant and name, without their values; not the cloud's",
		nil, nil, false, ListSecretsResponse{}, (*Handler).listSecrets},
	{http.MethodPost, "/secrets", "SetSecret", "setSecret", "Make a new version of a secret; functions get it when they are deployed again; not the cloud's",
		nil, body[SetSecretRequest], false, Operation{}, (*Handler).setSecret},
	{http.MethodDelete, "/secrets/{secretId}", "DeleteSecret", "deleteSecret", "Delete a secret by id or name; not the cloud's",
		nil, nil, false, Operation{}, (*Handler).deleteSecret},

	{http.MethodGet, "/sessions", "Sessions", "listSessions", "List sessions, oldest first; not the cloud's",
		pageParameters, nil, false, ListSessionsResponse{}, (*Handler).listSessions},
	{http.MethodPost, "/sessions", "CreateSession", "createSession", "Begin a session, in which snippets find what those before them have left; not the cloud's",
		nil, body[CreateSessionRequest], false, Session{}, (*Handler).createSession},
	{http.MethodPost, "/sessions:run", "RunSnippet", "runCode", "Run code alone, in a session that ends with it; not the cloud's",
		nil, body[RunCodeRequest], false, SnippetResult{}, (*Handler).runCode},
	{http.MethodGet, "/sessions/{sessionId}", "Session", "getSession", "Get a session; not the cloud's",
		nil, nil, false, Session{}, (*Handler).getSession},
	{http.MethodDelete, "/sessions/{sessionId}", "EndSession", "endSession", "End a session; not the cloud's",
		nil, nil, false, Empty{}, (*Handler).endSession},
	{http.MethodPost, "/sessions/{sessionId}:run", "RunSnippet", "runSnippet", "Run a snippet in a session; not the cloud's",
		nil, body[RunSnippetRequest], false, SnippetResult{}, (*Handler).runSnippet},
	{http.MethodPost, "/sessions/{sessionId}:fork", "ForkSession", "forkSession", "Begin a session with the state of another one; not the cloud's",
		nil, nil, false, Session{}, (*Handler).forkSession},
	{http.MethodPost, "/sessions/{sessionId}:interrupt", "InterruptSession", "interruptSession", "Raise KeyboardInterrupt in the snippet that a session runs; not the cloud's",
		nil, nil, false, Empty{}, (*Handler).interruptSession},
	{http.MethodGet, "/sessions/{sessionId}:file", "ReadSessionFile", "readSessionFile", "Get a file of a session; not the cloud's",
		[]parameter{{"path", "Relative paths are below /tmp."}}, nil, false, file(nil), (*Handler).readSessionFile},
	{http.MethodPut, "/sessions/{sessionId}:file", "WriteSessionFile", "writeSessionFile", "Write a file of a session; not the cloud's",
		[]parameter{{"path", "Relative paths are below /tmp. Folders are made."}}, body[file], true, Empty{}, (*Handler).writeSessionFile},

	{http.MethodGet, "/keys", "ListKeys", "listKeys", "List keys, by tenant and age",
		nil, nil, false, ListKeysResponse{}, (*Handler).listKeys},
	{http.MethodPost, "/keys", "CreateKey", "createKey", "Create a key; its secret is in this answer only",
		nil, body[CreateKeyRequest], false, CreateKeyResponse{}, (*Handler).createKey},
	{http.MethodDelete, "/keys/{keyId}", "DeleteKey", "deleteKey", "Delete a key; it is of no use from then on",
		nil, nil, false, Operation{}, (*Handler).deleteKey},
	{http.MethodGet, "/whoami", "Whoami", "whoami", "Tell as whom the server takes this request",
		nil, nil, false, WhoamiResponse{}, (*Handler).whoami},
}

// find returns the route of a request and what its {names} stand for.
func find(method, path string) (*route, map[string]string, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range routes {
		values, ok := match(routes[i].path, path)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], values, nil
		}
		allowed = append(allowed, routes[i].method)
	}
	if len(allowed) > 0 {
		slices.Sort(allowed)
		return nil, nil, &statusError{http: http.StatusMethodNotAllowed, code: CodeUnimplemented,
			message: "this path has no method " + method, header: http.Header{"Allow": {strings.Join(allowed, ", ")}}}
	}
	return nil, nil, &statusError{http: http.StatusNotFound, code: CodeNotFound,
		message: "there is no such path; " + BasePath + "/openapi.json lists all"}
}

// match compares a path with a pattern, element by element. The last element
// may have a verb after a colon.
func match(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	var values map[string]string
	for i := range want {
		w, wantVerb, _ := strings.Cut(want[i], ":")
		g, gotVerb, verb := strings.Cut(got[i], ":")
		switch {
		case gotVerb != wantVerb || verb && gotVerb == "":
			return nil, false
		case strings.HasPrefix(w, "{"):
			if g == "" {
				return nil, false
			}
			if values == nil {
				values = map[string]string{}
			}
			values[strings.Trim(w, "{}")] = g
		case w != g:
			return nil, false
		}
	}
	return values, true
}
