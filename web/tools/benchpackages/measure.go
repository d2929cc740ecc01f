package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/run"
	pythonwasi "vivarium/python-wasi"
	"vivarium/python-wasi/native"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
	"vivarium/web/requirements"
)

// measure installs a package for both Pythons and measures them in turns.
func measure(ctx context.Context, dir, python, name string, rounds int) (measured, error) {
	m := measured{name: name}
	guest, err := guestOf(name)
	if err != nil {
		return m, err
	}
	script, err := os.ReadFile(filepath.Join(dir, "everyday", "scripts", name+".py"))
	if err != nil {
		return m, err
	}
	if own := bounds[name].handler; own != "" {
		script = fmt.Appendf(script, "\n\ndef handler(event, context):\n    %s\n", own)
	}
	folder, err := os.MkdirTemp("", "benchpackages-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(folder)
	wanted := requirementsOf(name, string(script))
	code, chosen, err := install(ctx, guest, wanted, filepath.Join(folder, "guest"))
	if err != nil {
		return m, err
	}
	for i, w := range wanted {
		for _, c := range chosen {
			if strings.EqualFold(strings.ReplaceAll(c.Name, "_", "-"), w) {
				wanted[i] += "==" + c.Version
			}
		}
	}
	_, m.version, _ = strings.Cut(wanted[0], "==")
	if err := os.WriteFile(filepath.Join(code, "main.py"), script, 0o600); err != nil {
		return m, err
	}
	installed, err := native.Environment(ctx, python, filepath.Join(folder, "native"), wanted...)
	if err != nil {
		return m, err
	}
	f, err := deploy(ctx, guest, code)
	if err != nil {
		return m, err
	}
	defer f.close()
	for round := range rounds + 1 {
		if err := m.here.time(func() error { return f.call(ctx) }); err != nil {
			return m, err
		}
		if err := m.native.time(exec.CommandContext(ctx, installed, "-I", "-c", string(script)).Run); err != nil {
			return m, fmt.Errorf("native Python: %w", err)
		}
		if round == 0 { // the image was made, and files were read from disk
			m.here, m.native = nil, nil
		}
	}
	m.whyNot = f.whyNotFrozen()
	return m, nil
}

// install installs packages for a guest, and returns the folder with them.
func install(ctx context.Context, guest pythonwasi.Guest, wanted []string, dir string) (string, []requirements.Chosen, error) {
	info, err := guest.Info()
	if err != nil {
		return "", nil, err
	}
	site, err := guest.Site()
	if err != nil {
		return "", nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	i, err := requirements.Find(ctx, info.CPython, dir)
	if err != nil {
		return "", nil, err
	}
	if i.BuiltIn, err = requirements.BuiltIns(site); err != nil {
		return "", nil, err
	}
	list, err := requirements.Read(fstest.MapFS{requirements.File: {Data: []byte(strings.Join(wanted, "\n"))}})
	if err != nil {
		return "", nil, err
	}
	return i.Install(ctx, list, dir)
}

// function is a deployed function each of whose calls is answered by a new instance.
type function struct {
	host    *host.Host
	engines *run.Engines
	code    *os.Root // read as long as the host is there; nil before it is opened

	mu   sync.Mutex // guards said
	said []string   // by the platform, in the function's log
}

// deploy starts a host for the function in a folder.
func deploy(ctx context.Context, guest pythonwasi.Guest, code string) (*function, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	f := &function{}
	f.engines, err = run.NewEngines(ctx, guest.Name(), wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "wasm")})
	if err != nil {
		return nil, err
	}
	if f.host, err = host.New(host.Config{Engines: f.engines, MaxCalls: 1, Logs: f.log}); err != nil {
		f.engines.Close(ctx)
		return nil, err
	}
	if err := f.deploy(guest, code); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

const functionName = "imports"

func (f *function) deploy(guest pythonwasi.Guest, code string) (err error) {
	if f.code, err = os.OpenRoot(code); err != nil {
		return err
	}
	tree, err := vfs.NewTree(f.code.FS(), vfs.TreeConfig{})
	if err != nil {
		return err
	}
	spec := catalog.VersionSpec{Runtime: guest.Name(), Entrypoint: "main.handler", MemoryMB: 512, Timeout: 5 * time.Minute}
	_, err = f.host.Catalog().DeployTransient(access.Operator, functionName, spec, tree)
	return err
}

// call has a new instance answer. What the function answers is the business of everyday.
func (f *function) call(ctx context.Context) error {
	_, err := f.host.Invoke(ctx, access.Operator, run.Invocation{
		Function: functionName, RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte(`"cold"`),
	})
	return err
}

func (f *function) log(e logs.Entry) {
	if !e.System {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, e.Message)
}

// whyNotFrozen returns what the host told the author, or nothing if the import is frozen.
func (f *function) whyNotFrozen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, message := range f.said {
		if _, why, ok := strings.Cut(message, "imports the module itself: "); ok {
			return why
		}
	}
	return ""
}

func (f *function) close() {
	f.host.Close()
	f.engines.Close(context.Background())
	if f.code != nil {
		_ = f.code.Close()
	}
}
