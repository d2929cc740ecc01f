package console_test

import (
	"strings"
	"testing"
)

// Where nothing is installed, that is said before a run and after it, with what to do.
func TestRequirements_AreNotInstalledAndThatIsSaid(t *testing.T) {
	b := newTab(t, allowing("status of 400", "status of 404"))
	b.open("#/play")
	b.button(".file-tabs", "New file")
	b.fill("dialog input", "requirements.txt")
	b.button("dialog", "Add")
	b.wait(`document.querySelector('.code .notice')?.innerText.includes('vivarium run FOLDER')`)
	b.fill(".toolbar label:nth-of-type(3) select", "10000")
	b.button(".file-tabs", "main.py")
	b.code("import httpx\n\ndef handler(event, context):\n    pass\n")
	b.run()
	if got := b.text(answer); !strings.Contains(got, "No module named 'httpx'") || !strings.Contains(got, "vivarium run FOLDER") {
		t.Errorf("the answer is %s", got)
	}
	b.open("#/deploy")
	b.drop(".drop", folder(t, "wanting", map[string]string{"main.py": "import httpx\n\ndef handler(event, context):\n    pass\n", "requirements.txt": "httpx\n"}))
	b.wait(`document.querySelector('.drop').innerText.includes('vivarium deploy')`)
	b.fill("[name=timeout]", "60")
	b.button(".deploy-foot", "Deploy")
	b.wait(`document.querySelector('.broken')?.innerText.includes("installs no packages")`)
}
