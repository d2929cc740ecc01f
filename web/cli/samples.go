package cli

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// samples are events as the cloud's triggers send them, one file each.
//
//go:embed samples/*.json
var samples embed.FS

// httpSample is the one sample that describes an HTTP request.
const httpSample = "http"

// sample is a sample event.
type sample struct {
	event   []byte
	request *sampleRequest // nil for the events of triggers
}

// sampleRequest is the part of an HTTP event from which a request can be built.
type sampleRequest struct {
	Method          string              `json:"httpMethod"`
	Headers         map[string]string   `json:"headers"`
	Query           map[string][]string `json:"multiValueQueryStringParameters"`
	Body            string              `json:"body"`
	IsBase64Encoded bool                `json:"isBase64Encoded"`
}

// readSample returns a sample by name.
func readSample(name string) (*sample, error) {
	event, err := samples.ReadFile("samples/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("--event-sample %s: no such event; choose one of %s", name, sampleNames())
	}
	s := &sample{event: event}
	if name == httpSample {
		if err := json.Unmarshal(event, &s.request); err != nil {
			return nil, fmt.Errorf("--event-sample %s: %w", name, err)
		}
	}
	return s, nil
}

// sampleNames lists the names of all samples.
func sampleNames() string {
	entries, err := samples.ReadDir("samples")
	if err != nil { // it is embedded
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return strings.Join(names, ", ")
}

// parts returns the parts of the request.
func (r *sampleRequest) parts() (method string, query url.Values, header http.Header, body []byte) {
	header = http.Header{}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	body = []byte(r.Body)
	if decoded, err := base64.StdEncoding.DecodeString(r.Body); r.IsBase64Encoded && err == nil {
		body = decoded
	}
	return r.Method, r.Query, header, body
}
