package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/tools/txtar"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/roomtest"
)

var allAttacks = flag.Bool("attacks.all", false, "make the attacks of TestStreamAttacks at full size, which takes minutes")

// TestStreamAttacks has many connections with many requests each exhaust a
// server: requests whose bodies never arrive, headers that do not end,
// responses that are never read. Each file in testdata/attacks/streams is one
// attack; README.md there describes the format.
//
// The server is a separate process with the real host. During an attack,
// a client of another tenant is served, and the process uses no more memory than it
// accounts for, plus 15 % and 200 MiB. Afterwards, nothing is left behind.
func TestStreamAttacks(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/streams/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no attacks: %v", err)
	}
	s := startProcess(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := readStreamAttack(file)
			if err != nil {
				t.Fatal(err)
			}
			a.run(t, s)
		})
	}
}

// streamSource is the function under attack.
const streamSource = `
def handler(event, context):
    if event["queryStringParameters"].get("large"):
        return {"body": "x" * 3_000_000}
    return {"body": str(len(event["body"]))}
`

// TestStreamAttacks_Server is not a test: it is the process under attack.
func TestStreamAttacks_Server(t *testing.T) {
	if os.Getenv(streamServer) == "" {
		t.Skip("is run by TestStreamAttacks")
	}
	cert, _ := certificate(t)
	spec := catalog.VersionSpec{Timeout: time.Minute, Entrypoint: "main.handler"}
	code := []txtar.File{{Name: "main.py", Data: []byte(streamSource)}}
	deployFor(t, access.Operator.In("umbrella"), "other", spec, code)
	h := deploy(t, "hello", spec, code)
	other, err := h.Catalog().Function(access.Operator.In("umbrella"), "other")
	if err != nil {
		t.Fatal(err)
	}
	play, err := NewPlay(PlayConfig{}, h.Runner())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Stats: h.Stats, Play: play, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, h)
	fmt.Println("address", s.addr, other.ID)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
}

const streamServer = "VIVARIUM_TEST_STREAM_SERVER"

// serverProcess is a server in a process of its own.
type serverProcess struct {
	addr  string
	other string // the path of another tenant's function
	pid   int
	http  *http.Client // a client other than the attackers
}

func startProcess(t *testing.T) *serverProcess {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestStreamAttacks_Server$", "-test.v")
	command.Env = append(os.Environ(), streamServer+"=1")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	var said bytes.Buffer
	address := regexp.MustCompile(`(?m)^address (\S+) (\S+)\n`)
	for b := make([]byte, 4096); ; {
		n, err := out.Read(b)
		said.Write(b[:n])
		if found := address.FindSubmatch(said.Bytes()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: time.Minute}
			return &serverProcess{string(found[1]), "/" + string(found[2]), command.Process.Pid, client}
		}
		if err != nil {
			t.Fatalf("the server did not start: %v: %s", err, said.String())
		}
	}
}

// get sends a request as another client.
func (s *serverProcess) get(t *testing.T, path string) string {
	t.Helper()
	r, err := s.http.Get("https://" + s.addr + path)
	if err != nil {
		t.Fatalf("another client: %v", err)
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("another client: got %d %.200s, %v", r.StatusCode, text, err)
	}
	return string(text)
}

// figure returns the value of a metric.
func (s *serverProcess) figure(t *testing.T, name string) int64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(s.get(t, "/metrics"))
	if found == nil {
		t.Fatalf("there is no figure %s", name)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

// resident returns the process's memory in bytes, or 0 if unknown.
func (s *serverProcess) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0
	}
	found := regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64) // only digits
	return n << 10
}

// streamAttack is one attack.
type streamAttack struct {
	promise     string
	Protocol    string   `json:"protocol"`        // h1 or h2
	Connections int      `json:"connections"`     // in tests
	All         int      `json:"connections.all"` // at full size
	Streams     int      `json:"streams"`         // requests on each connection
	Unread      bool     `json:"unread"`          // responses are never read
	Unended     bool     `json:"unended"`         // the headers do not end
	Pings       int      `json:"pings"`           // on each connection
	Headers     int      `json:"headers"`         // more headers, of a few bytes each
	Statuses    []string `json:"statuses"`        // the only ones that may come
	head        []string // lines
	body        []byte
}

func readStreamAttack(path string) (*streamAttack, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	a := &streamAttack{promise: strings.TrimSpace(string(archive.Comment))}
	for _, f := range archive.Files {
		switch f.Name {
		case "attack":
			decoder := json.NewDecoder(bytes.NewReader(f.Data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(a); err != nil {
				return nil, err
			}
		case "send":
			head, body, _ := strings.Cut(string(f.Data), "\n\n")
			for line := range strings.Lines(strings.TrimSpace(head)) {
				a.head = append(a.head, strings.TrimSpace(string(sendable(strings.TrimSuffix(line, "\n")))))
			}
			a.body = bytes.TrimSuffix(sendable(strings.TrimSuffix(body, "\n")), []byte("\r\n"))
		default:
			return nil, fmt.Errorf("no such section: %s", f.Name)
		}
	}
	for n := range a.Headers {
		a.head = append(a.head, strconv.FormatInt(int64(n), 36)+":")
	}
	if a.promise == "" || a.head == nil || a.Connections == 0 {
		return nil, errors.New("names no promise, no connections, or sends nothing")
	}
	return a, nil
}

// attackers are the connections of one attack.
type attackers struct {
	mu          sync.Mutex // guards all below
	connections []net.Conn
	statuses    map[string]int
}

func (all *attackers) saw(status string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.statuses[status]++
}

func (a *streamAttack) run(t *testing.T, s *serverProcess) {
	s.get(t, s.other)
	before, instances := s.resident(), s.figure(t, "vivarium_instances_memory_bytes")
	all := &attackers{statuses: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	count := a.Connections
	if *allAttacks {
		count = max(count, a.All)
	}
	var work sync.WaitGroup
	for range count {
		work.Go(func() { a.connect(ctx, s, all) })
	}
	worst := int64(0)
	for n := 0; n < 5; n++ {
		if got := s.get(t, s.other); got != "0" {
			t.Errorf("another client: got %s", got)
		}
		counted := s.figure(t, "vivarium_bodies_bytes") + s.figure(t, "vivarium_headers_bytes") + s.figure(t, "vivarium_instances_memory_bytes") - instances
		worst = max(worst, s.resident()-before-counted-counted*15/100)
		time.Sleep(200 * time.Millisecond)
	}
	if limit := int64(200 << 20); worst > limit && !roomtest.Raced {
		t.Errorf("%s: %d MiB more than what is counted, %d are allowed", a.promise, worst>>20, limit>>20)
	}
	cancel()
	all.mu.Lock()
	t.Logf("%d connections: %d MiB beyond what is counted, answers %v", count, worst>>20, all.statuses)
	for _, conn := range all.connections {
		_ = conn.Close()
	}
	for status := range all.statuses {
		if !strings.Contains(strings.Join(a.Statuses, " "), status) {
			t.Errorf("%s: got %v, want only %v", a.promise, all.statuses, a.Statuses)
			break
		}
	}
	all.mu.Unlock()
	work.Wait()
	const own = 2 << 10 // the headers of who asks
	for end := time.Now().Add(time.Minute); s.figure(t, "vivarium_requests") > 1 || s.figure(t, "vivarium_bodies_bytes") > 0 ||
		s.figure(t, "vivarium_headers_bytes") > own; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d requests, %d bytes of bodies and %d of headers are left", s.figure(t, "vivarium_requests"),
				s.figure(t, "vivarium_bodies_bytes"), s.figure(t, "vivarium_headers_bytes"))
		}
	}
}

// connect opens one connection and sends its requests.
func (a *streamAttack) connect(ctx context.Context, s *serverProcess, all *attackers) {
	protocol := map[string]string{"h1": "http/1.1", "h2": "h2"}[a.Protocol]
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}}
	conn, err := dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		if ctx.Err() == nil { // it is not the end of the attack that came first
			all.saw("refused")
		}
		return
	}
	all.mu.Lock()
	all.connections = append(all.connections, conn)
	all.mu.Unlock()
	if a.Protocol == "h1" {
		a.speak1(conn, all)
	} else {
		a.speak2(conn, all)
	}
}

// speak1 speaks HTTP/1.1.
func (a *streamAttack) speak1(conn net.Conn, all *attackers) {
	head := strings.Join(a.head, "\r\n") + "\r\n"
	if !a.Unended {
		head += "\r\n"
	}
	go func() {
		for range max(a.Streams, 1) {
			if _, err := conn.Write(append([]byte(head), a.body...)); err != nil {
				return
			}
		}
	}()
	if a.Unread {
		return
	}
	for _, text := range readAnswers(conn, max(a.Streams, 1)) {
		all.saw(text[:min(len(text), 3)])
	}
}

// speak2 speaks HTTP/2.
func (a *streamAttack) speak2(conn net.Conn, all *attackers) {
	var sending sync.Mutex // guards the framer's writes
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return
	}
	settings := []http2.Setting{}
	if a.Unread { // no response body may be sent
		settings = append(settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	}
	_ = framer.WriteSettings(settings...)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for !a.Unread {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					sending.Lock()
					_ = framer.WriteSettingsAck()
					sending.Unlock()
				}
			case *http2.MetaHeadersFrame:
				all.saw(f.PseudoValue("status"))
			case *http2.RSTStreamFrame:
				all.saw("reset")
			}
		}
	}()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for i, line := range a.head {
		if i == 0 {
			parts := strings.Fields(line)
			for _, f := range [][2]string{{":method", parts[0]}, {":path", parts[1]}, {":scheme", "https"}, {":authority", "localhost"}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		_ = encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimSpace(value), Sensitive: true})
	}
	for n := range max(a.Streams, 1) {
		sending.Lock()
		err := a.stream(framer, uint32(2*n+1), block.Bytes())
		sending.Unlock()
		if err != nil {
			break
		}
	}
	for range a.Pings {
		sending.Lock()
		err := framer.WritePing(false, [8]byte{})
		sending.Unlock()
		if err != nil {
			break
		}
	}
	<-read
}

// stream sends one request.
func (a *streamAttack) stream(framer *http2.Framer, id uint32, block []byte) error {
	const most = 16 << 10
	first := block[:min(len(block), most)]
	err := framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block) && !a.Unended, EndStream: a.head[0][:3] == "GET",
	})
	for rest := block[len(first):]; len(rest) > 0 && err == nil; {
		part := rest[:min(len(rest), most)]
		rest = rest[len(part):]
		err = framer.WriteContinuation(id, len(rest) == 0 && !a.Unended, part)
	}
	for rest := a.body; len(rest) > 0 && err == nil; {
		part := rest[:min(len(rest), most)]
		rest = rest[len(part):]
		err = framer.WriteData(id, false, part)
	}
	return err
}
