package logs

import "testing"

// What Python's logging writes has the level of its record.
func TestCallLog_LevelsOfPythonsLogging(t *testing.T) {
	const stamp = "\t2026-01-02T03:04:05.678Z\tid\tmessage"
	for line, want := range map[string]Level{
		"[DEBUG]" + stamp: LevelDebug, "[INFO]" + stamp: LevelInfo, "[WARNING]" + stamp: LevelWarn, "[ERROR]" + stamp: LevelError,
		"[CRITICAL]" + stamp: LevelFatal, "[ERROR]" + stamp + "\rTraceback": LevelError,
		"[LOUD]" + stamp: LevelUnspecified, "[]" + stamp: LevelUnspecified, "[ERROR] message": LevelUnspecified,
		" [ERROR]" + stamp: LevelUnspecified, "[": LevelUnspecified, "": LevelUnspecified,
	} {
		for _, plain := range []bool{false, true} {
			got := collect(t, plain, func(l *Call) { _, _ = l.stdout.Write([]byte(line + "\n")) })
			if len(got) != 1 || got[0].Level != want || got[0].Message == "" && line != "" {
				t.Errorf("%q: got %+v, want level %s", line, got, want)
			}
		}
	}
}
