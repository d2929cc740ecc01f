package grpcapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	logging "github.com/yandex-cloud/go-genproto/yandex/cloud/logging/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
)

// resourceType is that of functions among what writes logs.
const resourceType = "serverless.function"

func (s *Server) logMethods() map[string]method {
	return map[string]method{"Read": unary("ReadLogs", s.readLogs)}
}

// position is where a page of a log begins: what a page's token says. Tokens are the
// caller's word: whoever has one reads what the own key allows.
type position struct {
	Criteria []byte    `json:"criteria"`
	From     time.Time `json:"from,omitzero"`
	Skip     int       `json:"skip,omitempty"` // entries of that moment that were there before
}

// readLogs reads a page of one function's log, oldest entries first. There is always a
// token of a next page, which has what is written later.
func (s *Server) readLogs(ctx context.Context, in *logging.ReadRequest) (*logging.ReadResponse, error) {
	criteria, at := in.GetCriteria(), position{}
	if token := in.GetPageToken(); token != "" {
		var ok bool
		if criteria, at, ok = parsePosition(token); !ok {
			return nil, fault.Invalidf("page_token", "must be the next_page_token of an earlier answer")
		}
	}
	if criteria == nil {
		return nil, fault.Invalidf("criteria", "is missing; give this or page_token")
	}
	f, err := s.logged(access.PrincipalOf(ctx), criteria)
	if err != nil {
		return nil, err
	}
	wanted, err := newSelection(criteria)
	if err != nil {
		return nil, err
	}
	for field, at := range map[string]*timestamppb.Timestamp{"since": criteria.Since, "until": criteria.Until} {
		if at != nil && !at.IsValid() {
			return nil, fault.Invalidf("criteria."+field, "is out of range")
		}
	}
	query := logs.Query{Since: at.From, Limit: logs.MaxLimit}
	if query.Since.IsZero() && criteria.Since != nil {
		query.Since = criteria.Since.AsTime()
	}
	if criteria.Until != nil {
		query.Until = criteria.Until.AsTime()
	}
	answer := &logging.ReadResponse{LogGroupId: criteria.LogGroupId}
	err = s.host.ReadLogs(ctx, access.PrincipalOf(ctx), f.ID, query, func(entries []logs.Entry, _ bool) error {
		at = wanted.page(entries, at, answer)
		return nil
	})
	if err != nil {
		return nil, err
	}
	at.Criteria, err = proto.Marshal(criteria)
	answer.NextPageToken = at.token()
	return answer, err
}

// logged returns the function whose log a request is about. A log group is a function's,
// as its context names it, or a folder's id, for which resource_ids names the function.
func (s *Server) logged(p access.Principal, c *logging.Criteria) (catalog.FunctionInfo, error) {
	switch {
	case c.LogGroupId == "":
		return catalog.FunctionInfo{}, fault.Invalidf("criteria.log_group_id", "is missing; give a folder's id, or the log group of a function")
	case c.Filter != "":
		return catalog.FunctionInfo{}, fault.Invalidf("criteria.filter", "is not supported; use levels, stream_names, since and until")
	case len(c.ResourceIds) > 1:
		return catalog.FunctionInfo{}, fault.Invalidf("criteria.resource_ids", "must name one function")
	case len(c.ResourceTypes) > 0 && !slices.Contains(c.ResourceTypes, resourceType):
		return catalog.FunctionInfo{}, fault.Invalidf("criteria.resource_types", "must be %s: nothing else has logs here", resourceType)
	}
	all, err := s.host.Catalog().Functions(p)
	if err != nil {
		return catalog.FunctionInfo{}, err
	}
	inFolder := false
	for _, f := range all {
		inFolder = inFolder || f.Tenant == c.LogGroupId
		named := len(c.ResourceIds) == 1 && f.ID == c.ResourceIds[0]
		if f.LogGroupID == c.LogGroupId && (named || len(c.ResourceIds) == 0) || f.Tenant == c.LogGroupId && named {
			return f, nil
		}
	}
	if inFolder && len(c.ResourceIds) == 0 {
		return catalog.FunctionInfo{}, fault.Invalidf("criteria.resource_ids", "is missing; in the log group of a folder, name a function")
	}
	if inFolder {
		return catalog.FunctionInfo{}, &fault.NotFoundError{Function: c.ResourceIds[0]}
	}
	return catalog.FunctionInfo{}, &fault.NotFoundError{Thing: "log group", Name: c.LogGroupId}
}

// selection is what a request wants of a log, and how much at once.
type selection struct {
	levels  []logging.LogLevel_Level
	streams []string
	size    int // entries
	bytes   int
}

func newSelection(c *logging.Criteria) (*selection, error) {
	size, err := pageSize(c.PageSize)
	if err != nil {
		return nil, fault.Invalidf("criteria.page_size", "must be a number from 0 to 1000")
	}
	w := &selection{levels: c.Levels, streams: c.StreamNames, size: cmp.Or(size, 100), bytes: maxAnswer / 2}
	if c.MaxResponseSize < 0 {
		return nil, fault.Invalidf("criteria.max_response_size", "must be positive")
	}
	if c.MaxResponseSize > 0 {
		w.bytes = int(min(int64(w.bytes), c.MaxResponseSize))
	}
	return w, nil
}

// page adds the entries after a position to an answer, and returns where the next page
// begins. An answer that may have one entry has one, however large.
func (w *selection) page(entries []logs.Entry, at position, answer *logging.ReadResponse) position {
	skip, held := at.Skip, 0
	for _, e := range entries {
		if e.Time.Equal(at.From) && skip > 0 {
			skip--
			continue
		}
		entry := newEntry(e)
		if w.wants(entry) {
			held += proto.Size(entry)
			if len(answer.Entries) == w.size || len(answer.Entries) > 0 && held > w.bytes {
				break
			}
			answer.Entries = append(answer.Entries, entry)
		}
		if !e.Time.Equal(at.From) {
			at.From, at.Skip = e.Time, 0
		}
		at.Skip++
		entry.Uid = fmt.Sprintf("%s-%d-%d", e.FunctionID, e.Time.UnixNano(), at.Skip)
	}
	return at
}

func (w *selection) wants(e *logging.LogEntry) bool {
	return (len(w.levels) == 0 || slices.Contains(w.levels, e.Level)) && (len(w.streams) == 0 || slices.Contains(w.streams, e.StreamName))
}

func newEntry(e logs.Entry) *logging.LogEntry {
	at := timestamppb.New(e.Time)
	entry := &logging.LogEntry{
		Resource:  &logging.LogEntryResource{Type: resourceType, Id: e.FunctionID},
		Timestamp: at, IngestedAt: at, SavedAt: at, Level: logging.LogLevel_Level(logging.LogLevel_Level_value[string(e.Level)]),
		Message: e.Message, StreamName: cmp.Or(e.StreamName, e.VersionID),
	}
	payload := &structpb.Struct{}
	if len(e.Payload) == 0 || payload.UnmarshalJSON(e.Payload) != nil || payload.Fields == nil {
		payload.Fields = map[string]*structpb.Value{}
	}
	for name, id := range map[string]string{"request_id": e.RequestID, "version_id": e.VersionID} {
		if _, ok := payload.Fields[name]; !ok && id != "" {
			payload.Fields[name] = structpb.NewStringValue(id)
		}
	}
	entry.JsonPayload = payload
	return entry
}

// token returns the position as a page's token.
func (p position) token() string {
	text, err := json.Marshal(p)
	if err != nil { // bytes, a time and a number always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parsePosition is the inverse of token.
func parsePosition(token string) (*logging.Criteria, position, bool) {
	var at position
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(text, &at) != nil || at.Skip < 0 {
		return nil, position{}, false
	}
	criteria := &logging.Criteria{}
	if proto.Unmarshal(at.Criteria, criteria) != nil {
		return nil, position{}, false
	}
	return criteria, at, true
}
