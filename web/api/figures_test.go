package api_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
	"vivarium/web/api"
)

func TestAPI_Figures(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "quiet"}`)
	id := s.must("POST", "/functions", `{"name": "counted"}`).text("response.id")
	s.deploy("counted", code(t, "def handler(event, context): return {'body': str(1 / len(event['queryStringParameters']))}"), "")
	s.raw("GET", "/counted?a=1", "")
	s.raw("GET", "/counted?a=1&b=2", "")
	s.raw("GET", "/counted", "")

	d := s.must("GET", "/functions/counted:figures", "")
	points, _ := d.at("points").([]any)
	if d.text("functionId") != id || d.at("calls") != 3.0 || d.at("errors") != 1.0 || d.at("idle") != 1.0 || len(points) != 60 {
		t.Fatalf("got %.300v with %d points", d, len(points))
	}
	if p50, _ := d.at("p50MS").(float64); p50 <= 0 || d.text("memory") == "0" {
		t.Errorf("got p50MS %v, memory %v", d.at("p50MS"), d.at("memory"))
	}
	calls := 0.0
	for _, p := range points {
		calls += document(p.(map[string]any)).at("calls").(float64)
	}
	if calls != 3 {
		t.Errorf("the points have %v calls, want 3", calls)
	}
	all, _ := s.must("GET", "/functions:figures", "").at("functions").([]any)
	if len(all) != 2 || document(all[0].(map[string]any)).text("functionId") != id {
		t.Fatalf("of all: got %.300v, want those of counted, then of quiet", all)
	}
	if points := document(all[1].(map[string]any)).at("points").([]any); len(points) != 30 {
		t.Errorf("quiet has %d points, want 30", len(points))
	}
	first := s.must("GET", "/functions:figures?pageSize=1", "")
	second := s.must("GET", "/functions:figures?pageSize=1&pageToken="+url.QueryEscape(first.text("nextPageToken")), "")
	only := func(d document) string {
		all, _ := d.at("functions").([]any)
		if len(all) != 1 {
			return ""
		}
		return document(all[0].(map[string]any)).text("functionId")
	}
	if only(first) != id || only(second) == "" || only(second) == id || second.at("nextPageToken") != nil {
		t.Errorf("in pages: got %.300v, then %.300v", first, second)
	}
	if status, _ := s.send("GET", "/functions/nobody:figures", ""); status != http.StatusNotFound {
		t.Errorf("of no function: got status %d, want 404", status)
	}
	if got := s.must("GET", "/openapi.json", "").at("components.schemas.FunctionFigures.properties.p50MS"); got == nil {
		t.Error("openapi.json does not describe p50MS")
	}
}

func TestAPI_DownloadsTheArchive(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "kept"}`)
	content := answering(t, "one")
	id := s.deploy("kept", content, "")
	answer, err := http.Get(s.url + api.BasePath + "/versions/" + id + ":download")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || base64.StdEncoding.EncodeToString(body) != content {
		t.Errorf("got %d bytes, %v, want those of the archive", len(body), err)
	}
	for name, want := range map[string]string{"Content-Type": "application/zip", "Content-Disposition": `attachment; filename="` + id + `.zip"`} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if status, _ := s.send("GET", "/versions/nothing:download", ""); status != http.StatusNotFound {
		t.Errorf("of no version: got status %d, want 404", status)
	}
	files, err := run.CodeFromFiles(map[string]string{"main.py": ""})
	if err == nil {
		_, err = s.host.Catalog().DeployTransient(access.Operator, "bare", catalog.VersionSpec{Entrypoint: "main.handler"}, files)
	}
	if err != nil {
		t.Fatal(err)
	}
	bare := s.must("GET", "/versions:byTag?functionId=bare", "").text("id")
	if status, _ := s.send("GET", "/versions/"+bare+":download", ""); status != http.StatusNotFound {
		t.Errorf("of a version made from no archive: got status %d, want 404", status)
	}
}
