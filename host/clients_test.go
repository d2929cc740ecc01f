package host

import (
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/catalog"
)

// installed returns the files of the packages that a file of requirements names.
func installed(t *testing.T, requirements string) fstest.MapFS {
	t.Helper()
	dir := t.TempDir()
	pip := exec.Command("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
		"--only-binary", ":all:", "--platform", "any", "--no-compile", "--target", dir, "--requirement", requirements)
	if out, err := pip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := fstest.MapFS{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// webServer is what clients talk to.
func webServer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/here", http.StatusFound)
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte("unpacked"))
		_ = z.Close()
	case "/chunks":
		for n := range 3 {
			fmt.Fprint(w, n)
			w.(http.Flusher).Flush()
		}
	case "/stalls":
		<-r.Context().Done()
	case "/who":
		fmt.Fprint(w, r.RemoteAddr)
	default:
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}
}

// The released clients work as they are.
func TestClients_HTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(webServer))
	t.Cleanup(plain.Close)
	secure, authority := tlsServer(t, nil)
	secure.Config.Handler = http.HandlerFunc(webServer)
	files := installed(t, "testdata/clients/requirements.txt")
	files["ca.pem"] = &fstest.MapFile{Data: []byte(authority)}
	files["main.py"] = &fstest.MapFile{Data: []byte(`
import asyncio, ssl
import httpx, requests, urllib3

AUTHORITY = "/function/code/ca.pem"
context = ssl.create_default_context(cafile=AUTHORITY)
session = requests.Session()
session.verify = AUTHORITY
pool = urllib3.PoolManager(ssl_context=context)
client = httpx.Client(verify=context, follow_redirects=True)

async def together(base, count):
    async with httpx.AsyncClient(verify=context) as c:
        return [a.text for a in await asyncio.gather(*(c.get(f"{base}/{n}") for n in range(count)))]

def refused(call, *args, **named):
    try:
        call(*args, **named)
    except Exception as error:
        return type(error).__name__, str(error)

def handler(event, context):
    return eval(event["value"])
`)}
	h := netHost(t)
	h.deployFiles("clients", files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MemoryMB: 256})
	base := fmt.Sprintf("https://127.0.0.1:%d", secure.Listener.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct{ value, want string }{
		{`requests.get("` + plain.URL + `/a").text`, `"GET /a"`},
		{`session.get("` + base + `/moved").text`, `"GET /here"`},
		{`[session.get("` + base + `/gzip").text, session.get("` + base + `/chunks").text]`, `["unpacked", "012"]`},
		{`session.post("` + base + `/b", json={"c": 1}).text`, `"POST /b"`},
		{`refused(session.get, "` + base + `/stalls", timeout=0.2)[0]`, `"ReadTimeout"`},
		{`refused(requests.get, "` + base + `/d")[0]`, `"SSLError"`},
		{`"--allow-net example.org would allow it" in refused(requests.get, "http://example.org/")[1]`, `true`},
		{`pool.request("GET", "` + base + `/gzip").data.decode()`, `"unpacked"`},
		{`[client.get("` + base + `/moved").text, client.get("` + base + `/gzip").text]`, `["GET /here", "unpacked"]`},
		{`refused(client.get, "` + base + `/stalls", timeout=0.2)[0]`, `"ReadTimeout"`},
		{`asyncio.run(together("` + base + `", 5))`, `["GET /0", "GET /1", "GET /2", "GET /3", "GET /4"]`},
	} {
		if got := h.eval("clients", "", c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
	// A connection is kept from one call to the next.
	who := `session.get("` + base + `/who").text`
	if first, second := h.eval("clients", "", who), h.eval("clients", "", who); first != second {
		t.Errorf("requests: %s, then %s", first, second)
	}
	if why := h.log("imports the module itself"); len(why) > 0 {
		t.Errorf("importing the clients is not frozen: %v", why)
	}
}
