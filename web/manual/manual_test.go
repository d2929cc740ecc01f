package manual_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"vivarium/web/cli"
	"vivarium/web/manual"
)

func site(t *testing.T) fs.FS {
	t.Helper()
	pages, err := manual.Site()
	if err != nil {
		t.Fatalf("these tests read the manual, and %v", err)
	}
	return pages
}

// htmlPage is what the tests look at in a page.
type htmlPage struct {
	links []string
	ids   map[string]bool
	text  string
}

func parse(t *testing.T, pages fs.FS, name string) htmlPage {
	t.Helper()
	f, err := pages.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	root, err := html.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	page := htmlPage{ids: map[string]bool{}}
	var text strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" {
			text.WriteString(n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				page.ids[a.Val] = true
			case a.Key == "href" || a.Key == "src":
				page.links = append(page.links, a.Val)
			}
		}
	}
	page.text = strings.Join(strings.Fields(text.String()), " ")
	return page
}

// All links of the site lead to what is there, and none makes a browser load anything
// from elsewhere.
func TestSite_LinksLeadSomewhere(t *testing.T) {
	pages := site(t)
	names, err := fs.Glob(pages, "*.html")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	read := map[string]htmlPage{}
	for _, name := range names {
		read[name] = parse(t, pages, name)
	}
	inside := 0
	for _, name := range names {
		for _, link := range read[name].links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			inside++
			file := name
			if u.Path != "" {
				file = path.Join(path.Dir(name), u.Path)
			}
			if _, err := fs.Stat(pages, file); err != nil {
				t.Errorf("%s: %s: %v", name, link, err)
			} else if target, ok := read[file]; ok && u.Fragment != "" && !target.ids[u.Fragment] {
				t.Errorf("%s: %s leads to no place of that page", name, link)
			}
		}
	}
	if inside < 1000 {
		t.Errorf("only %d links", inside)
	}
	for _, name := range names {
		text, err := fs.ReadFile(pages, name)
		if err != nil || regexp.MustCompile(`(?i)(<script|<img|<link)[^>]+(src|href)="(https?:)?//`).Match(text) {
			t.Errorf("%s loads something from elsewhere: %v", name, err)
		}
	}
}

// What users look for is there: every flag of every command, operations and types of the
// API, messages, cases of the contract.
func TestSite_HasTheReference(t *testing.T) {
	pages := site(t)
	for _, command := range cli.Reference() {
		page := parse(t, pages, command.Name+".html")
		for _, flag := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(command.Text, -1) {
			if !strings.Contains(page.text, flag[1]) {
				t.Errorf("%s does not have %s; if the manual is older than the program, go tool task docs makes it again", command.Name, flag[1])
			}
		}
	}
	for name, wants := range map[string][]string{
		"vivarium-deploy.html": {"vivarium deploy [<name> [<path>]] [flags]", "--allow-broken", "Deploy the code even if it does not load."},
		"api.html":             {"GET /functions", "DELETE /functions/{functionId}", "executionTimeout"},
		"messages.html": {
			"nothing to serve: give --functions DIR or --function NAME=PATH, --data DIR to keep what is deployed, or --playground",
			"… must be below the folder of …", "a key is needed",
		},
		"cases-errors.html":  {"a raised exception is a 502"},
		"contract.html":      {"504", "tmpfsSize"},
		"howto.html":         {"When something goes wrong"},
		"command-line.html":  {"vivarium.yaml"},
		"cases-context.html": {"it has exactly these attributes"},
	} {
		text := parse(t, pages, name).text
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %q", name, want)
			}
		}
	}
}

// A browser finds pages by words of theirs.
func TestSite_CanBeSearched(t *testing.T) {
	pages, err := manual.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	for words, want := range map[string]string{
		"landlock": "Security", "allow-broken": "vivarium-deploy", "xyzzy": "", "nothing to serve": "Messages",
	} {
		// As root there is no sandbox for it; what it loads is ours.
		browser := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu",
			"--user-data-dir="+t.TempDir(), "--virtual-time-budget=10000", "--dump-dom", server.URL+"/search.html?q="+url.QueryEscape(words))
		text, err := browser.Output()
		if err != nil {
			t.Fatalf("%v; bash .ci/browser installs Chromium", err)
		}
		found := regexp.MustCompile(`(?s)Search finished, found \d+ pages?.*?</ul>`).FindString(string(text))
		if want != "" && !strings.Contains(found, ">"+want+"</a>") {
			t.Errorf("%s: found %s", words, found)
		}
		if want == "" && found != "" {
			t.Errorf("%s: found %s", words, found)
		}
	}
}

// Each command has a page for man(1), in which man finds nothing wrong.
func TestMan(t *testing.T) {
	pages, err := manual.Man()
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) != len(cli.Reference()) {
		t.Errorf("%d pages for %d commands", len(pages), len(cli.Reference()))
	}
	for _, command := range cli.Reference() {
		c := exec.CommandContext(t.Context(), "groff", "-man", "-Tutf8", "-ww")
		c.Stdin = strings.NewReader(string(pages[command.Name+".1"]))
		var complaints strings.Builder
		c.Stderr = &complaints
		text, err := c.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v: %s", command.Name, err, &complaints)
		}
		if !strings.Contains(string(text), command.Name) {
			t.Errorf("%s: %s", command.Name, text)
		}
	}
}

func TestHandler(t *testing.T) {
	pages, err := manual.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	for target, want := range map[string]string{
		"/": "200 text/html; charset=utf-8", "/tutorial.html": "200 text/html; charset=utf-8", "/_static/alabaster.css": "200 text/css; charset=utf-8",
		"/no.html": "404 text/plain; charset=utf-8", "/../manual.go": "404 text/plain; charset=utf-8", "/_static": "404 text/plain; charset=utf-8",
	} {
		r, err := http.Get(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if got := fmt.Sprint(r.StatusCode, " ", r.Header.Get("Content-Type")); got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}
