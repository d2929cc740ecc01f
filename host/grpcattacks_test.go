package host

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// enemy is a connection of a server that means harm, on which the first call is
// stream 1.
type enemy struct {
	net.Conn
	*http2.Framer
	called chan struct{} // is closed when the call has begun
	gone   chan struct{} // is closed when the client is
}

// headers sends the beginning of an answer.
func (e *enemy) headers(end bool, fields ...string) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

func (e *enemy) begin() { e.headers(false, ":status", "200", "content-type", "application/grpc") }

// flood sends something until the client has gone.
func (e *enemy) flood(send func() error) {
	for {
		select {
		case <-e.gone:
			return
		default:
			if send() != nil {
				return
			}
		}
	}
}

// message is the beginning of a message of any length.
func message(flag byte, length uint32, data ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, length), data...)
}

// The attacks, and the codes that calls may end with.
var grpcAttacks = map[string]struct {
	do   func(*enemy)
	want string
}{
	"says nothing":     {func(*enemy) {}, "DEADLINE_EXCEEDED"},
	"speaks HTTP/1":    {func(e *enemy) { fmt.Fprint(e.Conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "UNAVAILABLE"},
	"sends huge frame": {func(e *enemy) { e.sendSettings(); _, _ = e.Conn.Write([]byte("\xff\xff\xff\x00\x00\x00\x00\x00\x01")) }, "UNAVAILABLE"},
	"goes away from each connection": {func(e *enemy) {
		e.sendSettings()
		_ = e.WriteGoAway(0, http2.ErrCodeNo, nil)
	}, "UNAVAILABLE"},
	"has no room": {func(e *enemy) { _ = e.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams}) }, "DEADLINE_EXCEEDED"},
	"opens no window": {func(e *enemy) {
		_ = e.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize})
	}, "DEADLINE_EXCEEDED"},
	"opens too large a window": {func(e *enemy) {
		e.sendSettings()
		_ = e.WriteWindowUpdate(0, 1<<31-1)
	}, "UNAVAILABLE"},
	"sends the same header again and again": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		for range 10_000 {
			_ = encoder.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 4000)})
		}
		_ = e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:block.Len()/2]})
		_ = e.WriteContinuation(1, true, block.Bytes()[block.Len()/2:])
	}, "UNAVAILABLE"},
	"never ends its headers": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		_ = e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1})
		e.flood(func() error { return e.WriteContinuation(1, false, make([]byte, 1000)) })
	}, "UNAVAILABLE"},
	"resets without end": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.flood(func() error { return e.WriteRSTStream(1, http2.ErrCodeInternal) })
	}, "INTERNAL UNAVAILABLE"}, // of the stream, or of the connection, which a flood ends
	"pings without end": {func(e *enemy) {
		e.sendSettings()
		e.flood(func() error { return e.WritePing(false, [8]byte{}) })
	}, "DEADLINE_EXCEEDED UNAVAILABLE"},
	"changes settings without end": {func(e *enemy) {
		e.flood(func() error { return e.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16}) })
	}, "DEADLINE_EXCEEDED UNAVAILABLE"},
	"sends empty data without end": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.begin()
		e.flood(func() error { return e.WriteData(1, false, nil) })
	}, "UNAVAILABLE"},
	"sends more answers than one": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.begin()
		e.flood(func() error { return e.WriteData(1, false, message(0, 0)) })
	}, "INTERNAL"},
	"sends more than the window": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.begin()
		_ = e.WriteData(1, false, message(0, 1))
		e.flood(func() error { return e.WriteData(1, false, make([]byte, 1<<14)) })
	}, "UNAVAILABLE INTERNAL"},
	"promises a long message": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.begin()
		_ = e.WriteData(1, false, message(0, 1<<32-1))
	}, "RESOURCE_EXHAUSTED"},
	"compresses a long message": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.headers(false, ":status", "200", "content-type", "application/grpc", "grpc-encoding", "gzip")
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.CopyN(z, zeros{}, 20<<20)
		_ = z.Close()
		data := message(1, uint32(packed.Len()), packed.Bytes()...)
		for part := range slices.Chunk(data, 1<<14) {
			_ = e.WriteData(1, false, part)
		}
	}, "RESOURCE_EXHAUSTED"},
	"compresses nonsense": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.headers(false, ":status", "200", "content-type", "application/grpc", "grpc-encoding", "deflate")
		_ = e.WriteData(1, false, message(1, 3, []byte("abc")...))
	}, "INTERNAL"},
	"ends within a message": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.begin()
		_ = e.WriteData(1, false, message(0, 10, 'a'))
		e.headers(true, "grpc-status", "0")
	}, "INTERNAL"},
	"ends without a status": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.headers(true, ":status", "200", "content-type", "application/grpc")
	}, "UNKNOWN"},
	"answers with a page": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		e.headers(false, ":status", "503", "content-type", "text/html")
		_ = e.WriteData(1, true, []byte("<html>"))
	}, "UNAVAILABLE"},
	"pushes": {func(e *enemy) {
		e.sendSettings()
		<-e.called
		_ = e.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
	}, "UNAVAILABLE"},
	"hangs up": {func(e *enemy) { e.sendSettings(); <-e.called; _ = e.Conn.Close() }, "UNAVAILABLE"},
}

func (e *enemy) sendSettings() { _ = e.WriteSettings() }

// startEnemy starts a server that does the same to each connection.
func startEnemy(t *testing.T, attack func(*enemy)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e := &enemy{Conn: conn, Framer: http2.NewFramer(conn, conn), called: make(chan struct{}), gone: make(chan struct{})}
			go func() {
				defer func() { _ = conn.Close() }()
				attack(e)
				<-e.gone
			}()
			go e.listen()
		}
	}()
	return listener.Addr().String()
}

// listen reads what the client sends.
func (e *enemy) listen() {
	defer close(e.gone)
	begun := false
	defer func() {
		if !begun {
			close(e.called)
		}
	}()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(e.Conn, preface); err != nil {
		return
	}
	for {
		frame, err := e.ReadFrame()
		if err != nil {
			return
		}
		if frame, ok := frame.(*http2.HeadersFrame); ok && frame.StreamID == 1 {
			begun = true
			close(e.called)
			break
		}
	}
	_, _ = io.Copy(io.Discard, e.Conn)
}

// Whatever a server does, a call ends with an error, and the next one of another
// server works.
func TestGRPC_HostileServers(t *testing.T) {
	h := netHost(t)
	h.grpcClient("attacks", "grpc.txt", nil, map[string]string{"FRIEND": serveGRPC(t, registerInterop)})
	for _, name := range slices.Sorted(maps.Keys(grpcAttacks)) {
		attack := grpcAttacks[name]
		address := startEnemy(t, attack.do)
		timeout := 30.0
		if strings.Contains(attack.want, "DEADLINE_EXCEEDED") {
			timeout = 0.2
		}
		for _, call := range []string{"attacked", "aio_attacked"} {
			got := h.eval("attacks", "", fmt.Sprintf("%s(%q, %v)", call, address, timeout))
			if code := strings.Trim(got, `"`); !slices.Contains(strings.Fields(attack.want), code) {
				t.Errorf("a server %s, %s: got %s, want %s", name, call, got, attack.want)
			}
		}
	}
}

// zeros is an endless file.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
