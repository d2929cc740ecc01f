package api

import (
	"net/http"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// Challenge are the headers of an answer that says that a key is needed.
var Challenge = http.Header{"Www-Authenticate": {`Bearer realm="vivarium"`}}

// folderParameter is one that every route has.
var folderParameter = parameter{"folderId", "The folder, or tenant, in which to look. Default: the key's; all, when the key is of all."}

// scope returns who asks, as they act within the folder that the query names. Within
// a folder of somebody else there is nothing to be seen, and nothing to be changed.
func (q *request) scope(p access.Principal) (access.Principal, error) {
	folder := q.query.Get(folderParameter.name)
	if folder == "" {
		return p, nil
	}
	reads := q.Method == http.MethodGet || q.Method == http.MethodHead
	if !reads && !p.ActsFor(folder) {
		return p, &fault.NotFoundError{Thing: "folder", Name: folder}
	}
	return p.In(folder), nil
}
