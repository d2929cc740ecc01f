package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/web/folder"
	"vivarium/web/strictyaml"
)

// projectFile is the file that says which functions a folder has, and their settings.
const projectFile = "vivarium.yaml"

// settings are what a projectFile says of a function. Most are flags, too, and have
// them in common: a setting that gets a flag gets a key.
//
// The file may be somebody else's, see package folder: all that it names is below its
// own folder.
type settings struct {
	Path       string `help:"Folder, .py file or .zip archive with the code, below the folder of this file. Default: the folder that is called like the function; the folder of this file if there is none and it has one function."`
	Entrypoint string `help:"The handler, as FILE.FUNCTION. Default: main.handler, else index.handler, or the handler in the .py file."`
	versionFlags
	limits
	Public  *bool                 `help:"Whether anyone may call the function, without a key."`
	Scaling *scalingSettings      `help:"How many instances the newest version has."`
	Timers  map[string]timerFlags `help:"Timers of the function, by name."`
}

// scalingSettings are a scaling policy, for LatestTag.
type scalingSettings struct {
	Provisioned int `name:"provisioned-instances" help:"Instances that are kept ready before the first call."`
	Instances   int `name:"instances-limit" help:"Most instances at once; 0: the default."`
	Requests    int `name:"requests-limit" help:"Most calls at once, waiting ones included; 0: no limit."`
}

func (s *scalingSettings) policy() catalog.ScalingPolicy {
	return catalog.ScalingPolicy{
		Tag: catalog.LatestTag, ProvisionedInstances: s.Provisioned, ZoneInstancesLimit: s.Instances, ZoneRequestsLimit: s.Requests,
	}
}

// projectText is a projectFile.
type projectText struct {
	Functions map[string]*settings `required:"" help:"The functions, by name: 3 to 63 lower-case letters, digits and hyphens."`
}

// project is a folder of functions with a projectFile.
type project struct {
	file      string // as the user named it
	functions []*projectFunction
}

// projectFunction is a function of a project.
type projectFunction struct {
	settings
	name   string
	source *source
	spec   catalog.VersionSpec // without an entry point if there is to be the default
}

// tellSecrets names the variables that a command without secrets leaves without a value.
func (f *projectFunction) tellSecrets(t *terminal, who string) {
	for _, variable := range slices.Sorted(maps.Keys(f.Secret)) {
		if _, ok := f.spec.Environment[variable]; !ok {
			t.say("%s: %s has no value: secrets are on servers that keep them, and %s takes it from env-file", f.name, variable, who)
		}
	}
}

// hasProject reports whether there is a projectFile in a folder.
func hasProject(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, projectFile))
	return err == nil
}

// readProject reads the projectFile in a folder, and checks all that it says. Of the
// code it only sees that it is there.
func readProject(dir string) (*project, error) {
	p := &project{file: filepath.Join(dir, projectFile)}
	root, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	text, err := folder.ReadFile(root, projectFile, strictyaml.MaxText)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	var said projectText
	document, err := strictyaml.Decode(text, &said)
	if err != nil {
		return nil, p.fault(err)
	}
	if len(said.Functions) == 0 {
		return nil, p.fault(document.Faultf("functions", "there are none; name one"))
	}
	timers := map[string]string{} // which function has them, by name
	faults := &strictyaml.Error{}
	for name, s := range said.Functions {
		f := &projectFunction{settings: *s, name: name}
		r := projectReader{root: root, dir: dir, document: document, alone: len(said.Functions) == 1}
		if err := r.read(f, timers); err != nil {
			e, ok := errors.AsType[*strictyaml.Error](err)
			if !ok {
				return nil, p.fault(err)
			}
			faults.Faults = append(faults.Faults, e.Faults...)
		}
		p.functions = append(p.functions, f)
	}
	if len(faults.Faults) > 0 {
		slices.SortStableFunc(faults.Faults, func(a, b strictyaml.Fault) int { return a.Line - b.Line })
		return nil, p.fault(faults)
	}
	slices.SortFunc(p.functions, func(a, b *projectFunction) int { return strings.Compare(a.name, b.name) })
	return p, nil
}

// fault returns an error with the file's name.
func (p *project) fault(err error) error {
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		return errors.New(e.In(p.file))
	}
	return fmt.Errorf("%s: %w", p.file, err)
}

// function returns a function by name; nil if there is none.
func (p *project) function(name string) *projectFunction {
	i := slices.IndexFunc(p.functions, func(f *projectFunction) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return p.functions[i]
}

func (p *project) names() []string {
	names := make([]string, len(p.functions))
	for i, f := range p.functions {
		names[i] = f.name
	}
	return names
}

// projectReader checks what a projectFile says of a function.
type projectReader struct {
	root     *folder.Folder
	dir      string
	document *strictyaml.Document
	alone    bool // it is the only function
}

// read completes f. Timers notes which there are.
func (r *projectReader) read(f *projectFunction, timers map[string]string) error {
	at := "functions." + f.name
	if err := catalog.ValidateName(f.name); err != nil {
		return r.fault(at, err, nil)
	}
	if err := r.open(f, at); err != nil {
		return err
	}
	if f.Timeout <= 0 {
		return r.document.Faultf(at+".timeout", "must be more than 0")
	}
	environment, err := f.environment(func(name string) ([]byte, error) {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s must be below the folder of %s", name, projectFile)
		}
		return folder.ReadFile(r.root, filepath.ToSlash(filepath.Clean(name)), maxEnvFile)
	})
	if err != nil {
		return r.document.Faultf(at+".env-file", "%s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "--env-file "), "--env-file: "))
	}
	f.spec = f.specWith(f.Entrypoint, environment)
	f.spec.Description = f.Description
	return r.check(f, at, timers)
}

// open finds the code.
func (r *projectReader) open(f *projectFunction, at string) (err error) {
	path := filepath.Clean(f.Path)
	if f.Path == "" {
		if path = f.name; r.alone {
			if _, err := r.root.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				path = "."
			}
		}
	}
	if !filepath.IsLocal(path) {
		return r.document.Faultf(at+".path", "%s must be below the folder of %s", f.Path, projectFile)
	}
	if path != "." {
		file, err := r.root.Open(filepath.ToSlash(path))
		if err != nil {
			return r.document.Faultf(at+".path", "%v", err)
		}
		_ = file.Close() // only read
	}
	f.source, err = openSource(filepath.Join(r.dir, path), f.Entrypoint)
	if err != nil && f.source != nil {
		return r.document.Faultf(at+".entrypoint", "%s", strings.TrimPrefix(err.Error(), "--entrypoint "))
	}
	if err != nil {
		return r.document.Faultf(at+".path", "%v", err)
	}
	return nil
}

// check checks what the server would, to say where in the file it is wrong, and before
// anything is changed.
func (r *projectReader) check(f *projectFunction, at string, timers map[string]string) error {
	spec := f.spec.WithDefaults()
	spec.Environment = maps.Clone(spec.Environment)
	if spec.Entrypoint == "" {
		spec.Entrypoint = "main.handler"
	}
	secrets, err := references(f.Secret)
	if err != nil {
		return r.document.Faultf(at+".secrets", "%v", err)
	}
	for _, s := range secrets {
		delete(spec.Environment, s.Variable)
		spec.Secrets = append(spec.Secrets, catalog.SecretReference(s))
	}
	if a := f.Async; a != (asyncFlags{}) {
		spec.Async = &catalog.AsyncConfig{Success: a.Success, Failure: a.Failure}
		if a.Retries != nil {
			spec.Async.Retries = *a.Retries
		}
	}
	if err := spec.Validate(); err != nil {
		return r.fault(at, err, versionKeys)
	}
	for _, tag := range f.Tag {
		if err := catalog.ValidateTag(tag); err != nil {
			return r.document.Faultf(at+".tags", "%v", err)
		}
	}
	if f.Scaling != nil {
		if err := f.Scaling.policy().Validate(); err != nil {
			return r.fault(at, err, scalingKeys)
		}
	}
	for name, timer := range f.Timers {
		at := at + ".timers." + name
		if other, taken := timers[name]; taken {
			return r.document.Faultf(at, "the function %s has a timer of this name, too; choose another", other)
		}
		timers[name] = f.name
		spec := events.TimerSpec{
			Name: name, Function: f.name, Tag: timer.Tag, Cron: timer.Cron, TimeZone: timer.TimeZone, Payload: timer.Payload,
			Retry: events.Retry{Attempts: timer.RetryAttempts, Interval: timer.RetryInterval},
		}
		if err := spec.Validate(); err != nil {
			return r.fault(at, err, timerKeys)
		}
	}
	return nil
}

// Keys by the names that the host's errors have for them; others are as they are.
var (
	versionKeys = map[string]string{
		"execution_timeout": "timeout", "tmpfs_size": "tmpfs-size", "mounts": "ephemeral-disks", "allow_net": "allow-net", "min_log_level": "min-log-level", "environment": "env",
		"service_account_id": "service-account", "async_invocation_config.retries_count": "async.retries",
		"async_invocation_config.success_target": "async.success", "async_invocation_config.failure_target": "async.failure",
	}
	scalingKeys = map[string]string{
		"provisioned_instances_count": "scaling.provisioned-instances", "zone_instances_limit": "scaling.instances-limit",
		"zone_requests_limit": "scaling.requests-limit",
	}
	timerKeys = map[string]string{"cron_expression": "cron", "time_zone": "time-zone", "retry_attempts": "retry-attempts", "retry_interval": "retry-interval"}
	variable  = regexp.MustCompile(`^environment variable "(.*)"$`)
)

// fault returns an error of the host about something below the key at.
func (r *projectReader) fault(at string, err error, keys map[string]string) error {
	e, ok := errors.AsType[*fault.InvalidError](err)
	if !ok {
		return r.document.Faultf(at, "%v", err)
	}
	key, known := keys[e.Field]
	switch m := variable.FindStringSubmatch(e.Field); {
	case m != nil:
		key = "env." + m[1]
	case !known:
		key = e.Field
	}
	if e.Field != "name" {
		at += "." + key
	}
	return r.document.Faultf(at, "%s", e.Rule)
}
