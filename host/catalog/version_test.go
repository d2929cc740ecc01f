package catalog

import "testing"

func TestVersion_StructuredLoggingIsTurnedOffByTheEnvironment(t *testing.T) {
	for value, want := range map[string]bool{"false": true, "False": true, "true": false, "": false} {
		v := &Version{VersionSpec: VersionSpec{Environment: map[string]string{"STRUCTURED_LOGGING": value}}}
		if got := v.LogSource("").Plain; got != want {
			t.Errorf("STRUCTURED_LOGGING=%s: lines are plain: got %v, want %v", value, got, want)
		}
	}
}
