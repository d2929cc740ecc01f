package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/store"
)

// What a request asks for is compared member by member: one that is added to requests
// must count, or deploying again would not set it.
func TestMakes_EverySettingCounts(t *testing.T) {
	fresh := func() *CreateVersionRequest {
		timeout := Duration(5 * time.Second)
		return &CreateVersionRequest{
			FunctionID: "f", Entrypoint: "main.handler", Content: []byte("zip"), Environment: map[string]string{"A": "b"},
			ExecutionTimeout: &timeout, Resources: &Resources{256 << 20},
		}
	}
	spec, err := fresh().spec()
	if err != nil {
		t.Fatal(err)
	}
	v := newVersion(catalog.VersionInfo{
		Version: &catalog.Version{
			ID: "v", FunctionID: "f", VersionSpec: spec.WithDefaults(), CreatedAt: time.Now(), ArchiveSize: 3, SHA256: store.CodeName([]byte("zip")),
		},
		Tags: []string{"$latest", "prod"}, Status: catalog.StatusActive,
	})
	text, err := json.Marshal(v) // as a client gets it
	if err != nil {
		t.Fatal(err)
	}
	var got Version
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !fresh().Makes(&got) {
		t.Error("the same request makes another version")
	}
	noSettings := []string{"FunctionID", "Tag"}
	other := map[string]any{
		"Resources": &Resources{512 << 20}, "ExecutionTimeout": new(Duration), "Content": []byte("other"), "Package": &Package{}, "Environment": map[string]string{"A": "c"},
		"LogOptions": &LogOptions{MinLevel: "WARN"}, "Async": &AsyncConfig{}, "MetadataOptions": &MetadataOptions{GCE: metadataOff},
		"Mounts": []Mount{{Name: "m", EphemeralDisk: &EphemeralDisk{Size: 1 << 20}}}, "Runtime": "python313-full", "Secrets": []SecretReference{{ID: "s", Key: "k", Variable: "V"}},
	}
	for i := range reflect.TypeFor[CreateVersionRequest]().NumField() {
		field := reflect.TypeFor[CreateVersionRequest]().Field(i)
		r := fresh()
		switch value := reflect.ValueOf(r).Elem().Field(i); {
		case slices.Contains(noSettings, field.Name):
			continue
		case other[field.Name] != nil:
			value.Set(reflect.ValueOf(other[field.Name]))
		case field.Type == reflect.TypeFor[json.RawMessage]():
			value.SetBytes([]byte(`{"x": 1}`))
		case value.Kind() == reflect.String:
			value.SetString("other")
		case value.Kind() == reflect.Bool:
			value.SetBool(true)
		case value.Kind() == reflect.Int64:
			value.SetInt(2)
		default:
			t.Errorf("%s: the test has no other value", field.Name)
		}
		if r.Makes(&got) {
			t.Errorf("%s makes no difference", field.Name)
		}
	}
}
