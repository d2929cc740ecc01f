package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vivarium/web/api"
)

// firstKey creates the first key of a data folder and returns its secret.
func firstKey(t *testing.T, data string) string {
	t.Helper()
	code, out, stderr := execute("", "key", "create", "--data", data)
	if code != ExitOK || !strings.HasPrefix(out, "viv_") || strings.Count(out, "\n") != 1 || strings.Contains(stderr, "viv_") ||
		!strings.Contains(stderr, "tenant * with the role admin") {
		t.Fatalf("key create: exit code %d, %q, %s", code, out, stderr)
	}
	return strings.TrimSpace(out)
}

// A key for the cloud's SDKs is in a file of its own, in their form; its private half is
// nowhere else.
func TestKeyCreate_WritesServiceAccountKeys(t *testing.T) {
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "key.json")
	firstKey(t, data)
	create := []string{"key", "create", "--data", data, "--tenant", "acme", "--role", "deployer", "--service-account-key", file}
	code, out, stderr := execute("", create...)
	if code != ExitOK || out != "" || !strings.Contains(stderr, "is in "+file) {
		t.Fatalf("exit code %d, %q, %s", code, out, stderr)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var key struct {
		ID      string `json:"id"`
		Account string `json:"service_account_id"`
		Public  string `json:"public_key"`
		Private string `json:"private_key"`
	}
	if err := json.Unmarshal(text, &key); err != nil || key.ID == "" || key.Account != key.ID {
		t.Errorf("%v in %s", err, text)
	}
	block, _ := pem.Decode([]byte(key.Private))
	if block == nil || !strings.HasPrefix(key.Private, "-----BEGIN PRIVATE KEY-----\n") {
		t.Fatalf("got %s", text)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || private.(*rsa.PrivateKey).N.BitLen() != 2048 {
		t.Error(err)
	}
	code, out, _ = execute("", "key", "list", "--data", data, "--json")
	if code != ExitOK || !strings.Contains(out, key.ID) || !strings.Contains(out, "BEGIN PUBLIC KEY") || strings.Contains(out, "PRIVATE") {
		t.Errorf("exit code %d, %s", code, out)
	}
	// What is there is not overwritten; nor is a file left of a key that was not made.
	if code, _, stderr := execute("", create...); code != ExitFailure || !strings.Contains(stderr, "exists") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	other := filepath.Join(t.TempDir(), "other.json")
	if code, _, _ := execute("", append(create[:7:7], "root", "--service-account-key", other)...); code == ExitOK {
		t.Error("there is no such role")
	}
	if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestServe_BeyondTheMachineOnlyWithKeys(t *testing.T) {
	data := t.TempDir()
	for _, c := range []struct{ command, want string }{
		{"serve --functions testdata/functions", "vivarium serve --data DIR"},
		{"dev ../../examples/api --name hello", "vivarium serve --data DIR"},
		{"serve --data " + data, "vivarium key create --data " + data},
	} {
		code, _, stderr := execute("", append(strings.Fields(c.command), "--listen", "0.0.0.0:0")...)
		if code != ExitFailure || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "--insecure") {
			t.Errorf("%s: exit code %d: %s", c.command, code, stderr)
		}
	}
	port := func(p *program) string { return "http://127.0.0.1" + p.url[strings.LastIndexByte(p.url, ':'):] }
	p := startFor(t, "serve", "--data", data, "--listen", "0.0.0.0:0", "--insecure")
	if status, _ := request(t, "GET", port(p)+"/functions/v1/functions", ""); status != http.StatusOK {
		t.Errorf("--insecure: status %d", status)
	}
	if !strings.Contains(p.stderr.String(), "there are no keys") {
		t.Errorf("no warning: %s", p.stderr.String())
	}
	p.stop()
	secret := firstKey(t, data)
	p = startFor(t, "serve", "--data", data, "--listen", "0.0.0.0:0")
	for key, want := range map[string]int{"": 401, secret: 200} {
		if status, _ := request(t, "GET", port(p)+"/functions/v1/functions", key); status != want {
			t.Errorf("with key %.8q: status %d", key, status)
		}
	}
	if !strings.Contains(p.stderr.String(), "--tls-cert") {
		t.Errorf("no warning: %s", p.stderr.String())
	}
}

func TestServe_OnThisMachineOnlyUnderItsNames(t *testing.T) {
	p := startFor(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--allow-host", "box.example")
	for name, want := range map[string]int{"evil.example": 421, "localhost": 200, "box.example": 200} {
		r, err := http.NewRequest("GET", p.url+"/functions/v1/functions", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = name
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: status %d", name, answer.StatusCode)
		}
	}
}

// request sends a request with a secret and returns status and body.
func request(t *testing.T, method, url, secret string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Api-Key "+secret)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(answer.Body)
	return answer.StatusCode, b.String()
}

func TestKey_TenantsAreSetUpAndUsed(t *testing.T) {
	data := t.TempDir()
	operator := firstKey(t, data)
	if code, _, stderr := execute("", "key", "create", "--data", data, "--tenant", "acme"); code != ExitFailure || !strings.Contains(stderr, "role: ") {
		t.Errorf("a second key without a role: exit code %d: %s", code, stderr)
	}
	p := startFor(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	t.Setenv("VIVARIUM_SERVER", p.url)
	if code, _, stderr := execute("", "key", "list", "--data", data); code != ExitFailure || !strings.Contains(stderr, "--api-key") {
		t.Errorf("a folder in use: exit code %d: %s", code, stderr)
	}
	folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context): return {'body': 'served'}\n"})
	for _, command := range []string{"deploy fun " + folder, "function list", "logs fun", "logs fun --follow", "key list", "invoke fun"} {
		code, _, stderr := execute("", strings.Fields(command)...)
		if code != ExitFailure || !strings.Contains(stderr, "VIVARIUM_API_KEY") {
			t.Errorf("%s without a key: exit code %d: %s", command, code, stderr)
		}
	}
	if code, _, stderr := execute("", "function", "list", "--api-key", "viv_nonsense"); code != ExitFailure || !strings.Contains(stderr, "does not know the key") {
		t.Errorf("a wrong key: exit code %d: %s", code, stderr)
	}

	t.Setenv("VIVARIUM_API_KEY", operator)
	secrets := map[string]string{}
	for _, role := range []string{"deployer", "invoker"} {
		secrets[role] = strings.TrimSpace(must(t, "key", "create", "--tenant", "acme", "--role", role, "--description", "for "+role))
	}
	if out := must(t, "key", "list"); !strings.Contains(out, "acme") || !strings.Contains(out, "for invoker") || strings.Contains(out, "viv_") {
		t.Errorf("the table is %s", out)
	}
	must(t, "deploy", "fun", folder, "--timeout", "60s")
	must(t, "deploy", "fun", folder, "--timeout", "60s", "--tenant", "acme") // on their behalf
	t.Setenv("VIVARIUM_API_KEY", secrets["deployer"])
	must(t, "deploy", "fun", folder, "--timeout", "60s", "--tag", "v2")
	var functions []api.Function
	if err := json.Unmarshal([]byte(must(t, "function", "list", "--json")), &functions); err != nil || len(functions) != 1 || functions[0].FolderID != "acme" {
		t.Errorf("the tenant's functions: %+v, %v", functions, err)
	}
	if out := must(t, "version", "list", "fun", "--json"); strings.Count(out, `"id"`) != 2 {
		t.Errorf("the versions of both deployments: %s", out)
	}
	if code, _, stderr := execute("", "function", "allow-unauthenticated-invoke", "fun"); code != ExitFailure || !strings.Contains(stderr, "role admin") {
		t.Errorf("a deployer makes a function public: exit code %d: %s", code, stderr)
	}
	if out := must(t, "invoke", "fun", "--api-key", secrets["invoker"]); !strings.Contains(out, "served") {
		t.Errorf("got %s", out)
	}

	t.Setenv("VIVARIUM_API_KEY", operator)
	url := p.url + "/" + functions[0].ID
	for _, step := range []struct {
		command string
		want    int
	}{{"get", 401}, {"allow-unauthenticated-invoke", 200}, {"get", 200}, {"deny-unauthenticated-invoke", 401}} {
		must(t, "function", step.command, "fun", "--tenant", "acme")
		if status, text := request(t, "GET", url, ""); status != step.want {
			t.Errorf("%s: status %d %s", step.command, status, text)
		}
	}
	var keys []api.Key
	if err := json.Unmarshal([]byte(must(t, "key", "list", "--json")), &keys); err != nil || len(keys) != 3 {
		t.Fatalf("keys: %+v, %v", keys, err)
	}
	for _, k := range keys {
		if k.Tenant == "acme" {
			must(t, "key", "delete", k.ID)
		}
	}
	if status, _ := request(t, "GET", url, secrets["invoker"]); status != http.StatusForbidden {
		t.Errorf("a deleted key: status %d", status)
	}
	if code := p.stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if out := must(t, "key", "list", "--data", data); strings.Count(out, "\n") != 2 {
		t.Errorf("the folder has %s", out)
	}
	if strings.Contains(p.stderr.String(), "viv_") {
		t.Error("the server's log has a secret")
	}
}

// writeCertificate writes a certificate for 127.0.0.1 with this serial number.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	writeFile(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestServe_TLSFollowsTheFiles(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	files := []string{"--tls-cert", dir + "/cert.pem", "--tls-key", dir + "/key.pem"}
	log := &lockedBuffer{}
	c := &listening{Listen: "127.0.0.1:0", TLSCert: files[1], TLSKey: files[3]}
	l, err := c.open(newTerminal(log).say)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if !strings.HasPrefix(l.url(), "https://127.0.0.1:") {
		t.Errorf("the address is %s", l.url())
	}
	go func() {
		for {
			connection, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = tls.Server(connection, l.tls).Handshake()
				_ = connection.Close()
			}()
		}
	}()
	serial := func() int64 {
		connection, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		return connection.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serial number %d", got)
	}
	writeCertificate(t, dir, 2)
	eventually(t, func() string {
		if serial() != 2 {
			return "the new certificate is not used"
		}
		return ""
	})
	writeFile(t, dir+"/cert.pem", "nonsense")
	eventually(t, func() string {
		if serial() != 2 {
			return "a broken file takes the certificate away"
		}
		if !strings.Contains(log.String(), "stays in use") {
			return "nobody is told of a broken file"
		}
		return ""
	})
	for _, args := range [][]string{files, files[:2], {"--tls-cert", dir + "/none", "--tls-key", dir + "/none"}} {
		command := append([]string{"serve", "--functions", "testdata/functions", "--listen", "127.0.0.1:0"}, args...)
		if code, _, stderr := execute("", command...); code != ExitFailure || !strings.Contains(stderr, "tls-") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
}
