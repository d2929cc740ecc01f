package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// peer is what functions may talk to: an HTTP server in the driver.
//
//	/echo      answers with what it is sent
//	/nothing   never answers
//	/endless   answers without end
//	/away      sends on to an address that functions may not reach
type peer struct {
	address string // 127.0.0.1:PORT
	server  *http.Server
}

func startPeer() (*peer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 64<<10))
		}
	})
	mux.Handle("/away", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	p := &peer{address: listener.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
	go func() { _ = p.server.Serve(listener) }() // until stop
	return p, nil
}

func (p *peer) stop() error { return p.server.Close() }
