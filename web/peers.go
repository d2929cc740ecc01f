package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/host/cluster"
	"vivarium/host/run"
)

// figuresPath is where a node is asked for figures.
const figuresPath = "/figures"

// Bounds of what nodes ask each other.
const (
	askTime    = time.Second // for all of them, connecting included
	askAtOnce  = 32          // nodes
	maxAsked   = 8 << 20     // bytes of a question
	maxAnswers = 8 << 20     // bytes of an answer
)

// figuresQuestion asks for the figures of functions.
type figuresQuestion struct {
	Functions []string `json:"functions"` // ids
	Points    int      `json:"points"`
}

// Peers asks the other nodes of a cluster what each knows alone. Safe for concurrent use.
type Peers struct {
	cluster *cluster.Cluster
	client  *http.Client
	copies  *places       // of images, by tenant
	pause   time.Duration // see imagePause
}

// NewPeers returns what asks the nodes of a cluster; nil for no cluster, which asks nobody.
func NewPeers(c *cluster.Cluster) *Peers {
	if c == nil {
		return nil
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialTLSContext: c.Dial, IdleConnTimeout: idleTimeout / 2, MaxResponseHeaderBytes: 2 * maxResponseHeaders,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Peers{c, client, newPlaces(maxCopies, maxCopies/2), imagePause}
}

// Figures returns what the other nodes have of the last points of functions, and the addresses of
// those that did not answer within a second.
func (p *Peers) Figures(ctx context.Context, functions []string, points int) (found []run.FunctionFigures, silent []string) {
	if p == nil || len(functions) == 0 {
		return nil, nil
	}
	question, err := json.Marshal(figuresQuestion{functions, points})
	if err != nil { // plain data
		panic(err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var asking sync.WaitGroup
	var mu sync.Mutex // guards found and silent
	places := make(chan struct{}, askAtOnce)
	for _, n := range p.cluster.Nodes() {
		if n.Address == p.cluster.Address() {
			continue
		}
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			var answer []run.FunctionFigures
			err := p.ask(ctx, n.Address, figuresPath, question, &answer)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, n.Address)
				return
			}
			found = append(found, answer...)
		})
	}
	asking.Wait()
	slices.Sort(silent)
	return found, silent
}

// ask asks a node.
func (p *Peers) ask(ctx context.Context, address, path string, question []byte, answer any) error {
	u := url.URL{Scheme: "https", Host: address, Path: path}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(question))
	if err != nil {
		return err
	}
	response, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswers+1))
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK || len(text) > maxAnswers:
		return fmt.Errorf("node %s: status %d, %d bytes", address, response.StatusCode, len(text))
	}
	return json.Unmarshal(text, answer)
}

// tellFigures answers another node that asks for figures.
func (s *Server) tellFigures(w http.ResponseWriter, r *http.Request) {
	var asked figuresQuestion
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&asked); err != nil {
		http.Error(w, "Bad Request: "+strings.TrimSpace(err.Error()), http.StatusBadRequest)
		return
	}
	answer := []run.FunctionFigures{}
	if s.config.Figures != nil {
		for _, id := range asked.Functions {
			if f := s.config.Figures(id, asked.Points); !f.Empty() {
				answer = append(answer, f)
			}
		}
	}
	_ = json.NewEncoder(w).Encode(answer) // the other node has gone, if it fails
}
