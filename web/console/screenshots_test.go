package console_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// screenshots is where TestScreenshots writes; go tool task screenshots sets it.
var screenshots = flag.String("screenshots", "", "folder to write pictures of each page into")

// TestScreenshots shows each page in both themes, wide and narrow.
func TestScreenshots(t *testing.T) {
	dir := *screenshots
	if dir == "" {
		dir = t.TempDir()
	}
	for _, theme := range []string{"light", "dark"} {
		for name, size := range map[string][2]int64{"": {1280, 800}, "-narrow": {390, 844}} {
			b := newTab(t)
			b.look(theme, size[0], size[1])
			b.open("#/play")
			b.button(".toolbar", "Run")
			b.wait(`document.querySelector('.figures')`)
			save(t, filepath.Join(dir, "play-"+theme+name+".png"), b.screenshot())
		}
	}
}

func save(t *testing.T, path string, image []byte) {
	t.Helper()
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
}
