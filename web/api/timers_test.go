package api_test

import (
	"net/http"
	"testing"
)

func TestTimers_PauseAndResume(t *testing.T) {
	s := startServer(t)
	s.must("POST", "/functions", `{"name": "fun"}`)
	id := s.must("POST", "/timers", `{"name": "tick", "functionId": "fun", "cronExpression": "@yearly"}`).at("response.id").(string)
	for _, c := range []struct {
		path, description string
		paused            any
	}{
		{"/timers/tick:pause", "Pause timer", true}, {"/timers/" + id + ":pause", "Pause timer", true}, // twice is as good as once
		{"/timers/" + id + ":resume", "Resume timer", nil},
	} {
		op := s.must("POST", c.path, "")
		if op.at("description") != c.description || op.at("done") != true || op.at("response.paused") != c.paused || op.at("metadata.timerId") != id {
			t.Errorf("%s: %v", c.path, op)
		}
		if got := s.must("GET", "/timers", "").at("timers").([]any)[0].(map[string]any)["paused"]; got != c.paused {
			t.Errorf("%s: then it is paused: %v", c.path, got)
		}
	}
	if status, d := s.send("POST", "/timers/tock:pause", ""); status != http.StatusNotFound {
		t.Errorf("one that is not there: %d %v", status, d)
	}
	if status, d := s.send("GET", "/timers/tick:pause", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d %v", status, d)
	}
}
