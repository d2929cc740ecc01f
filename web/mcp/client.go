package mcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"vivarium/web/api"
)

// maxAnswer bounds what is read of a server's answer, in bytes. None that a tool asks for
// is longer.
const maxAnswer = 32 << 20

// client makes the requests of tools. It is safe for concurrent use.
type client struct{ Config }

// name is what ids and names may look like; all that there are do.
var name = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_]{0,99}$`)

// checkName refuses what could be anything but an element of a path.
func checkName(field, text string) error {
	if !name.MatchString(text) {
		return fmt.Errorf("%s: %.80q must be a name or an id: letters, digits, hyphens and underscores", field, text)
	}
	return nil
}

// api sends a request to the management API; a body and an answer may be nil.
func (c *client) api(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	if c.Tenant != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("folderId", c.Tenant)
	}
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	_, status, text, err := c.send(ctx, method, api.BasePath+path, query, content)
	if err != nil {
		return err
	}
	if err := api.ErrorOf(status, text); err != nil {
		return err
	}
	if answer == nil {
		return nil
	}
	if raw, ok := answer.(*[]byte); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, answer)
}

// send sends a request and reads the answer.
func (c *client) send(
	ctx context.Context, method, path string, query url.Values, body []byte,
) (header http.Header, status int, text []byte, err error) {
	address := c.Base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, 0, nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "vivarium-mcp/"+c.Version)
	response, err := c.Do(r)
	if err != nil {
		return nil, 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = errors.New("the server's answer is too long")
	}
	return response.Header, response.StatusCode, text, err
}

// File is a file that goes in or out.
type File struct {
	Path   string `json:"path" jsonschema:"its name"`
	Text   string `json:"text,omitempty" jsonschema:"its content, if that is UTF-8 text"`
	Base64 string `json:"base64,omitempty" jsonschema:"its content otherwise"`
	Note   string `json:"note,omitempty" jsonschema:"in a result: what is missing, and why"`
}

// content returns a file's bytes.
func (f *File) content() ([]byte, error) {
	switch {
	case f.Note != "":
		return nil, fmt.Errorf("files: %.80q: note is for results alone", f.Path)
	case f.Text != "" && f.Base64 != "":
		return nil, fmt.Errorf("files: %.80q: give text or base64, not both", f.Path)
	case f.Base64 == "":
		return []byte(f.Text), nil
	}
	b, err := base64.StdEncoding.DecodeString(f.Base64)
	if err != nil {
		return nil, fmt.Errorf("files: %.80q: base64: %v", f.Path, err)
	}
	return b, nil
}

// fileOf returns a file with at most left bytes of text, or a note in their place.
func fileOf(path string, content []byte, left *int) File {
	f := File{Path: path}
	size := len(content)
	text := isText(content)
	if !text {
		size = base64.StdEncoding.EncodedLen(size)
	}
	switch {
	case size > *left:
		f.Note = fmt.Sprintf("%d bytes, too many to show", len(content))
		return f
	case text:
		f.Text = string(content)
	default:
		f.Base64 = base64.StdEncoding.EncodeToString(content)
	}
	*left -= size
	return f
}

// isText reports whether bytes can be shown as they are.
func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// cut returns the beginning and the end of a text that is too long.
func cut(text string, most int) (shown string, was bool) {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\ufffd"), false
	}
	half := most / 2
	return strings.ToValidUTF8(fmt.Sprintf("%s\n[%d more bytes]\n%s", text[:half], len(text)-most, text[len(text)-half:]), "\ufffd"), true
}
