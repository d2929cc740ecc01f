package objects_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vivarium/host/fault"
	"vivarium/web/objects"
	"vivarium/web/objects/objectstest"
)

func TestFetch(t *testing.T) {
	real := objectstest.Start(t)
	real.Put("packages", "", nil)
	names := []string{"fun.zip", "a folder/ä+b%2F&c=d.zip", "../up.zip", strings.Repeat("n", 200)}
	for _, name := range names[:2] {
		real.Put("packages", name, []byte("the archive "+name))
	}
	s, err := objects.New(real.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(key objects.Key, bucket, name string, limit int64) (string, error) {
		reserved := int64(-1)
		reserve := func(n int64) error { reserved = n; return nil }
		data, err := s.Fetch(t.Context(), key, objects.Object{Bucket: bucket, Name: name}, limit, reserve)
		if err == nil && reserved != int64(len(data)) {
			t.Errorf("%d bytes were reserved for %d", reserved, len(data))
		}
		return string(data), err
	}
	for _, name := range names[:2] {
		if got, err := fetch(objectstest.Key, "packages", name, 100); err != nil || got != "the archive "+name {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	for _, c := range []struct {
		key          objects.Key
		bucket, name string
		limit        int64
		field, want  string
	}{
		{objectstest.Key, "packages", names[0], 5, "package.objectName", "has 19 bytes, at most 5"},
		{objectstest.Key, "packages", "none.zip", 100, "package.objectName", "no such object"},
		{objectstest.Key, "nowhere", names[0], 100, "package.objectName", "no such object, or no such bucket"},
		{objectstest.Key, "packages", names[2], 100, "package.objectName", ""},
		{objectstest.Key, "packages", names[3], 100, "package.objectName", ""},
		{objectstest.Key, "packages", "", 100, "package.objectName", "1 to 1024 bytes"},
		{objectstest.Key, "packages", strings.Repeat("x", 1025), 100, "package.objectName", "1 to 1024 bytes"},
		{objectstest.Key, "", names[0], 100, "package.bucketName", "no bucket's name"},
		{objectstest.Key, "..", names[0], 100, "package.bucketName", "no bucket's name"},
		{objectstest.Key, "a/b", names[0], 100, "package.bucketName", "no bucket's name"},
		{objectstest.Key, "Packages?x", names[0], 100, "package.bucketName", "no bucket's name"},
		{objects.Key{ID: "access", Secret: "wrong"}, "packages", names[0], 100, "package.bucketName", "refuses the key"},
		{objects.Key{}, "packages", names[0], 100, "package.bucketName", "the secret object-storage"},
	} {
		_, err := fetch(c.key, c.bucket, c.name, c.limit)
		if e, ok := errors.AsType[*fault.InvalidError](err); !ok || e.Field != c.field || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s/%.40s as %q: got %v, want %s: %s", c.bucket, c.name, c.key.ID, err, c.field, c.want)
		}
	}
	full := errors.New("no memory")
	first := objects.Object{Bucket: "packages", Name: names[0]}
	if _, err := s.Fetch(t.Context(), objectstest.Key, first, 100, func(int64) error { return full }); err != full {
		t.Errorf("got %v", err)
	}
}

// What a storage does that is not well is its fault, and not the caller's; it leads nowhere
// else.
func TestFetch_OfAStorageThatIsNotWell(t *testing.T) {
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(elsewhere.Close)
	for name, serve := range map[string]http.HandlerFunc{
		"broken": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"busy":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "five.")
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "without a length")
		},
		"leads elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
	} {
		server := httptest.NewServer(serve)
		s, err := objects.New(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Fetch(t.Context(), objects.Key{}, objects.Object{Bucket: "bucket", Name: "name"}, 100, func(int64) error { return nil })
		if unavailable := errors.Is(err, fault.ErrUnavailable); unavailable == (name == "leads elsewhere") || err == nil {
			t.Errorf("%s: got %v", name, err)
		}
		server.Close()
		_, err = s.Fetch(t.Context(), objects.Key{}, objects.Object{Bucket: "bucket", Name: "name"}, 100, func(int64) error { return nil })
		if !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("gone: got %v", err)
		}
	}
	if asked > 0 {
		t.Error("a redirection was followed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := objects.New(elsewhere.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(ctx, objects.Key{}, objects.Object{Bucket: "bucket", Name: "name"}, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNew_WantsAnEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://storage.example.org": true, "http://127.0.0.1:9000/": true,
		"storage.example.org": false, "ftp://x": false, "https://": false, "https://x/bucket": false, "https://x?y": false, "": false,
	} {
		if _, err := objects.New(endpoint, nil); (err == nil) != ok {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
