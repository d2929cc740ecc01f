package cli

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/web/api"
)

// deployCommand implements `vivarium deploy`.
type deployCommand struct {
	Name string `arg:"" optional:"" help:"Name of the function, which is created if it does not exist. Default: all functions of vivarium.yaml."`
	codePath
	versionFlags
	AllowBroken bool `help:"Deploy the code even if it does not load."`
	limits
	installing
	remote
}

// Help is shown by `vivarium deploy --help`.
func (*deployCommand) Help() string {
	return `Without NAME, all functions that a vivarium.yaml in the working directory has are deployed, those that have changed;
with a NAME that it has and no PATH, that one. "vivarium schema" prints what the file may say.

What a .vivariumignore names, in the form of a .gitignore, is left out, and so are names that begin with a dot,
__pycache__, virtual environments, and private keys; a line !NAME in it brings one back. Packages that a requirements.txt
names are installed and sent along; they must be in Python alone, or among those that are built into the runtime
python313-full, which is then chosen. It names them as PEP 508 has it, with -r and -c for other files in the folder; where
they come from is said by the configuration of pip or uv. Nothing of the folder or of packages is run here; the server
loads the code in the sandbox, and refuses what does not load.

Examples:
  vivarium deploy
  vivarium deploy hello ./hello
  vivarium deploy hello ./hello --tag v2 --memory 256 --timeout 10s --env LEVEL=debug`
}

// versionFlags are what is said of a version, and only of one on a server.
type versionFlags struct {
	Tag         []string          `yaml:"tags" placeholder:"TAG" help:"Tag for the version; may be given more than once."`
	Description string            `placeholder:"TEXT" help:"Description of the version."`
	Secret      map[string]string `yaml:"secrets" mapsep:"none" placeholder:"VARIABLE=NAME/KEY" help:"Environment variable with the value that a key of a secret has, as in TOKEN=telegram/token; may be given more than once. On a server it counts before an --env of the same name."`
	Async       asyncFlags        `embed:"" prefix:"async-" help:"Allow asynchronous calls of the function."`
}

// asyncFlags say what becomes of asynchronous calls.
type asyncFlags struct {
	Retries *int   `placeholder:"N" help:"Allow asynchronous calls of the function, each with up to N retries."`
	Success string `placeholder:"FUNCTION" help:"Function that receives the results of asynchronous calls."`
	Failure string `placeholder:"FUNCTION" help:"Function that receives the failures. Default: they become dead letters."`
}

// config returns what the flags say as a request has it; nil if they say nothing.
func (a asyncFlags) config() *api.AsyncConfig {
	if a == (asyncFlags{}) {
		return nil
	}
	config := &api.AsyncConfig{SuccessTarget: target(a.Success), FailureTarget: target(a.Failure)}
	if a.Retries != nil {
		config.RetriesCount = api.Int64(*a.Retries)
	}
	return config
}

// Run implements the command.
func (c *deployCommand) Run(ctx context.Context, s *session, line *kong.Context) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	project, err := c.project(line)
	switch {
	case err != nil:
		return err
	case project != nil:
		return c.deployProject(ctx, s, client, project)
	}
	source, err := c.source(ctx, s, c.installing, &c.limits)
	if err != nil {
		return err
	}
	spec, err := c.spec(c.Entrypoint)
	if err != nil {
		return err
	}
	request, notes, err := c.versionFlags.request(c.Name, source, spec)
	if err != nil {
		return err
	}
	request.AllowBroken = c.AllowBroken
	newTerminal(s.stderr).note(notes...)
	created, err := client.ensureFunction(ctx, c.Name)
	if err != nil {
		return err
	}
	v, err := client.createVersion(ctx, s, request)
	if err != nil {
		if created {
			client.dropEmpty(context.WithoutCancel(ctx), c.Name)
		}
		return withTraceback(err)
	}
	newTerminal(s.stderr).note(brokenNote("", v))
	if c.JSON {
		return printJSON(s.stdout, v)
	}
	fmt.Fprintf(s.stdout, "deployed %s, version %s\n", c.Name, v.ID)
	return printFields(s.stdout, [][2]string{
		{"tags", strings.Join(v.Tags, " ")}, {"size", bytesText(int64(v.ImageSize))}, {"url", client.functionURL(c.Name, v.FunctionID)},
	}...)
}

// brokenNote tells, after a prefix, that a version's code does not load; empty if it does.
func brokenNote(prefix string, v *api.Version) string {
	e := v.LoadError
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%sthe code does not load, and calls will fail:\n%s%s: %s", prefix, tracebackText(e.StackTrace), e.Type, e.Message)
}

// request returns the request for a version of a function, and notes on how its entry
// point was found and on what was left out.
func (f *versionFlags) request(
	name string, source *source, spec catalog.VersionSpec,
) (_ *api.CreateVersionRequest, notes []string, err error) {
	content, notes, err := source.pack(zip.Deflate)
	if err != nil {
		return nil, nil, err
	}
	if len(content) > api.MaxContent {
		return nil, nil, fmt.Errorf("code: %s: the archive has %s; at most %s are allowed; name in %s what the function does not need",
			source.path, bytesText(int64(len(content))), bytesText(api.MaxContent), ignoreFile)
	}
	if spec.Entrypoint == "" {
		var note string
		if spec.Entrypoint, note, err = source.defaultEntrypoint(content); err != nil {
			return nil, nil, err
		}
		notes = append(notes, note)
	}
	secrets, err := references(f.Secret)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range secrets {
		delete(spec.Environment, s.Variable)
	}
	timeout := api.Duration(spec.Timeout)
	request := &api.CreateVersionRequest{
		FunctionID: name, Runtime: spec.Runtime, Description: f.Description, Entrypoint: spec.Entrypoint,
		Resources: &api.Resources{Memory: api.Int64(spec.MemoryMB) << 20}, ExecutionTimeout: &timeout,
		ServiceAccountID: spec.ServiceAccountID, Content: content, Environment: spec.Environment, Secrets: secrets, Tag: f.Tag,
		NoFreeze: spec.NoFreeze, AllowNet: spec.AllowNet, Async: f.Async.config(), TmpfsSize: api.Int64(spec.TmpBytes),
	}
	for _, d := range spec.Disks {
		request.Mounts = append(request.Mounts, api.Mount{Name: d.Name, EphemeralDisk: &api.EphemeralDisk{Size: api.Int64(d.Bytes)}})
	}
	if spec.MinLogLevel != "" {
		request.LogOptions = &api.LogOptions{MinLevel: string(spec.MinLogLevel)}
	}
	return request, notes, nil
}

// withTraceback adds to the error about code that does not load where it fails.
func withTraceback(err error) error {
	status, ok := errors.AsType[*api.Status](err)
	if !ok {
		return err
	}
	for _, d := range status.Details {
		text := strings.TrimSuffix(tracebackText(d.StackEntries), "\n")
		kind, message, _ := strings.Cut(d.Detail, ": ")
		if hint := installHint(&fault.FunctionError{Type: kind, Message: message}); hint != "" {
			text += "\n" + hint
		}
		if text != "" {
			err = fmt.Errorf("%w\n%s", err, text)
		}
	}
	return err
}

// tracebackText returns frames as Python prints them.
func tracebackText(frames []string) string {
	if len(frames) == 0 {
		return ""
	}
	return "Traceback (most recent call last):\n" + strings.Join(frames, "")
}

func target(function string) *api.Target {
	if function == "" {
		return nil
	}
	return &api.Target{FunctionTarget: &api.FunctionTarget{FunctionID: function}}
}

// ensureFunction creates a function unless it exists, and reports whether it
// did.
func (c *serverClient) ensureFunction(ctx context.Context, name string) (created bool, err error) {
	err = c.get(ctx, functionPath(name), nil, nil)
	if err == nil || !isNotFound(err) {
		return false, err
	}
	_, err = c.change(ctx, http.MethodPost, "/functions", api.CreateFunctionRequest{Name: name}, nil)
	if e := c.get(ctx, functionPath(name), nil, nil); err != nil && e == nil {
		return false, nil // created concurrently by somebody else
	}
	return err == nil, err
}

// dropEmpty deletes a function without versions, which could not be called
// anyway. It does no harm if that fails.
func (c *serverClient) dropEmpty(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if versions, err := c.versions(ctx, name); err == nil && len(versions) == 0 {
		_, _ = c.change(ctx, http.MethodDelete, functionPath(name), nil, nil)
	}
}

// createVersion sends a version, showing progress.
func (c *serverClient) createVersion(ctx context.Context, s *session, request *api.CreateVersionRequest) (*api.Version, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var v api.Version
	if _, err := c.change(ctx, http.MethodPost, "/versions", newProgress(body, s.stderr), &v); err != nil {
		return nil, err
	}
	return &v, nil
}
