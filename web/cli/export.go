package cli

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/web/api"
)

// exportCommands implements `vivarium export ...`.
type exportCommands struct {
	Terraform exportTerraform `cmd:"" help:"Print functions as Terraform's HCL, for Yandex Cloud."`
}

type exportTerraform struct {
	Path       string `arg:"" optional:"" default:"." help:"Folder with a vivarium.yaml."`
	FromServer bool   `help:"Export the functions on the server instead, as their newest versions are."`
	Archives   string `placeholder:"DIR" help:"Write the functions' code to this folder as well. Default: only its name is printed, code."`
	Runtime    string `name:"cloud-runtime" default:"python312" placeholder:"NAME" help:"Runtime in the cloud. (${default})"`
	remote
}

// Help is shown by `vivarium export terraform --help`.
func (*exportTerraform) Help() string {
	return `What the cloud has no counterpart for is said in comments, and on standard error. Values of files that env-file names are
not printed: they become variables. Functions on a server have all of their environment printed.

Examples:
  vivarium export terraform --archives code > functions.tf
  vivarium export terraform --from-server --archives code > functions.tf`
}

// Run implements the command.
func (c *exportTerraform) Run(ctx context.Context, s *session) error {
	var functions []*exported
	var err error
	if c.FromServer {
		functions, err = c.onServer(ctx)
	} else {
		functions, err = c.inProject()
	}
	if err != nil {
		return err
	}
	if len(functions) == 0 {
		return errors.New("there are no functions with a version")
	}
	t := &terraform{runtime: c.Runtime, archives: "code"}
	if c.Archives != "" {
		t.archives = filepath.ToSlash(c.Archives)
		if err := c.writeArchives(t, functions); err != nil {
			return err
		}
	}
	text := t.file(functions)
	terminal := newTerminal(s.stderr)
	terminal.note(t.notes...)
	if c.Archives == "" {
		terminal.say("the code is to be in code/NAME.zip; --archives DIR writes it")
	}
	_, err = io.WriteString(s.stdout, text)
	return err
}

// writeArchives writes the functions' code.
func (c *exportTerraform) writeArchives(t *terraform, functions []*exported) error {
	if err := os.MkdirAll(c.Archives, 0o700); err != nil {
		return fmt.Errorf("--archives: %w", err)
	}
	for _, f := range functions {
		content, err := f.archive()
		if isNotFound(err) {
			t.notes = append(t.notes, f.name+": the server serves it from a folder and has no archive of it")
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(c.Archives, f.name+".zip"), content, 0o600)
		}
		if err != nil {
			return fmt.Errorf("--archives: %s: %w", f.name, err)
		}
	}
	return nil
}

// inProject returns the functions of the projectFile.
func (c *exportTerraform) inProject() ([]*exported, error) {
	if !hasProject(c.Path) {
		return nil, fmt.Errorf("there is no %s in %s; name its folder, or add --from-server", projectFile, c.Path)
	}
	p, err := readProject(c.Path)
	if err != nil {
		return nil, err
	}
	var all []*exported
	for _, f := range p.functions {
		e := &exported{
			name: f.name, spec: f.spec.WithDefaults(), tags: f.Tag, async: f.Async, public: f.Public != nil && *f.Public, timers: f.Timers,
			archive: func() ([]byte, error) {
				content, _, err := f.source.pack(zip.Deflate)
				return content, err
			},
		}
		if e.secrets, err = references(f.Secret); err != nil {
			return nil, err
		}
		for _, r := range e.secrets {
			delete(e.spec.Environment, r.Variable)
		}
		for name := range e.spec.Environment {
			if _, shown := f.Env[name]; !shown {
				e.hidden = append(e.hidden, name)
			}
		}
		slices.Sort(e.hidden)
		if f.Scaling != nil {
			e.policies = []catalog.ScalingPolicy{f.Scaling.policy()}
		}
		if e.spec.Entrypoint == "" {
			content, err := e.archive()
			if err != nil {
				return nil, err
			}
			if e.spec.Entrypoint, _, err = f.source.defaultEntrypoint(content); err != nil {
				return nil, err
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// onServer returns the functions on the server that have a version.
func (c *exportTerraform) onServer(ctx context.Context) ([]*exported, error) {
	client, err := c.connect()
	if err != nil {
		return nil, err
	}
	functions, err := client.functions(ctx)
	if err != nil {
		return nil, err
	}
	var all []*exported
	for _, f := range functions {
		v, err := client.version(ctx, f.ID+"@"+catalog.LatestTag)
		switch {
		case isNotFound(err) || err == nil && f.Name == "":
			continue
		case err != nil:
			return nil, err
		}
		e, err := client.exported(ctx, f, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// exported returns a function on the server.
func (c *serverClient) exported(ctx context.Context, f *api.Function, v *api.Version) (*exported, error) {
	e := &exported{
		name: f.Name, description: f.Description, timers: map[string]timerFlags{},
		spec: catalog.VersionSpec{
			Description: v.Description, Entrypoint: v.Entrypoint, Timeout: time.Duration(v.ExecutionTimeout), Environment: v.Environment,
			ServiceAccountID: v.ServiceAccountID, NoFreeze: v.NoFreeze, AllowNet: v.AllowNet,
		},
		tags:    slices.DeleteFunc(slices.Clone(v.Tags), func(tag string) bool { return tag == catalog.LatestTag }),
		archive: func() ([]byte, error) { return c.download(ctx, v.ID) },
	}
	if len(v.Secrets) > 0 {
		all, err := c.secrets(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range v.Secrets {
			if i := slices.IndexFunc(all, func(s *api.Secret) bool { return s.ID == r.ID }); i >= 0 {
				r.ID = all[i].Name
			}
			e.secrets = append(e.secrets, r)
		}
	}
	e.spec.TmpBytes = int64(v.TmpfsSize)
	for _, m := range v.Mounts {
		if m.EphemeralDisk != nil {
			e.spec.Disks = append(e.spec.Disks, catalog.Disk{Name: m.Name, Bytes: int64(m.EphemeralDisk.Size)})
		}
	}
	if v.Resources != nil {
		e.spec.MemoryMB = int(v.Resources.Memory >> 20)
	}
	if v.LogOptions != nil {
		e.spec.MinLogLevel = logs.Level(v.LogOptions.MinLevel)
	}
	if a := v.Async; a != nil {
		retries := int(a.RetriesCount)
		e.async = asyncFlags{Retries: &retries, Success: targetFunction(a.SuccessTarget), Failure: targetFunction(a.FailureTarget)}
	}
	var err error
	if e.public, err = c.isPublic(ctx, f.ID); err != nil {
		return nil, err
	}
	if e.policies, err = c.scalingPolicies(ctx, f.ID); err != nil {
		return nil, err
	}
	timers, err := c.timers(ctx, f.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range timers {
		e.timers[t.Name] = flagsOf(t)
	}
	return e, nil
}

func targetFunction(t *api.Target) string {
	if t == nil || t.FunctionTarget == nil {
		return ""
	}
	return t.FunctionTarget.FunctionID
}

// download returns the archive of a version.
func (c *serverClient) download(ctx context.Context, id string) ([]byte, error) {
	response, err := c.send(ctx, http.MethodGet, c.managed("/versions/"+url.PathEscape(id)+":download"), nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxArchive+1))
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case len(content) > maxArchive:
		return nil, fmt.Errorf("the archive has more than %s", bytesText(maxArchive))
	}
	if err := api.ErrorOf(response.StatusCode, content); err != nil {
		return nil, c.keyHint(response.StatusCode, err)
	}
	return content, nil
}
