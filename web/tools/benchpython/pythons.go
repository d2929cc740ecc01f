package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// python is a process that runs the programs.
type python struct {
	name string
	cmd  *exec.Cmd
	// ask has a program run, as {"program": NAME, "times": N} says, and returns the
	// value as JSON.
	ask func(request []byte) (value []byte, err error)
}

// run returns a program's value, and the CPU time of a run.
func (p *python) run(program string, times int) (value []byte, took time.Duration, err error) {
	request, err := json.Marshal(map[string]any{"program": program, "times": times})
	if err != nil {
		return nil, 0, err
	}
	start, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return nil, 0, err
	}
	if value, err = p.ask(request); err != nil {
		return nil, 0, fmt.Errorf("%s: %s: %w", p.name, program, err)
	}
	end, err := cpuTime(p.cmd.Process.Pid)
	return bytes.TrimSpace(value), (end - start) / time.Duration(times), err
}

// close ends the process.
func (p *python) close() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// startNative starts a Python of this machine in the folder with the programs.
func startNative(ctx context.Context, path, folder string) (*python, error) {
	path, err := exec.LookPath(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "-P", "main.py")
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "PYTHONPATH=.", "PYTHONDONTWRITEBYTECODE=1")
	return startLines("native", cmd)
}

// startPyodide starts Node.js in the folder where npm has installed Pyodide.
func startPyodide(ctx context.Context, dir, folder string) (*python, error) {
	const script = `import("pyodide").then(m => m.loadPyodide()).then(p => {
	p.mountNodeFS("/bench", process.argv[1])
	const answer = p.runPython("import json, sys; sys.path.insert(0, '/bench'); import main; lambda line: json.dumps(main.handler(json.loads(line), None))")
	require("readline").createInterface({input: process.stdin}).on("line", line => console.log(answer(line)))
})`
	cmd := exec.CommandContext(ctx, "node", "-e", script, folder)
	cmd.Dir = dir
	return startLines("Pyodide", cmd)
}

// startLines starts a process that answers lines.
func startLines(name string, cmd *exec.Cmd) (*python, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	return &python{name, cmd, func(request []byte) ([]byte, error) {
		if _, err := in.Write(append(request, '\n')); err != nil {
			return nil, err
		}
		return lines.ReadBytes('\n')
	}}, nil
}

// serving is the first line that Vivarium prints.
var serving = regexp.MustCompile(`http://\S+`)

// startProduct starts a build of Vivarium that serves the programs.
func startProduct(ctx context.Context, path, folder string) (*python, error) {
	cmd := exec.CommandContext(ctx, path, "serve", "--listen", "127.0.0.1:0", "--no-playground",
		"--function", "bench="+folder, "--timeout", "10m", "--memory", "512")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &python{name: filepath.Base(path), cmd: cmd}
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	url := serving.Find(line)
	if err != nil || url == nil {
		p.close()
		return nil, fmt.Errorf("%s does not serve: %s", path, log.Bytes())
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // otherwise it would wait for a reader
	p.ask = func(request []byte) ([]byte, error) {
		resp, err := http.Post(string(url)+"/bench?integration=raw", "application/json", bytes.NewReader(request))
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		value, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, value)
		}
		return value, err
	}
	return p, nil
}
