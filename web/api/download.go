package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vivarium/host/quota"
)

// archive is an answer that is a zip file.
type archive []byte

// download serves GET /versions/{functionVersionId}:download.
func (h *Handler) download(q *request) (any, error) {
	id := q.path["functionVersionId"]
	v, err := h.host.Catalog().Version(q.principal, id)
	if err != nil {
		return nil, err
	}
	// For as long as the reader takes.
	release, err := h.host.Ledger().Reserve(v.Tenant, quota.Body, v.ArchiveSize)
	if err != nil {
		return nil, err
	}
	defer release()
	content, err := h.host.Catalog().Archive(q.Context(), q.principal, id)
	if err != nil {
		return nil, err
	}
	header := q.w.Header()
	header.Set("Content-Type", "application/zip")
	header.Set("Content-Length", strconv.Itoa(len(content)))
	header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", id+".zip")) // a known id: letters and digits
	q.w.WriteHeader(http.StatusOK)
	// The server allows less time for answers, which are smaller elsewhere.
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(transferTimeout)) // a recorder knows none
	_, _ = q.w.Write(content)                                                             // who went away needs no answer
	return nil, nil
}
