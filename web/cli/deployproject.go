package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"vivarium/host/catalog"
	"vivarium/web/api"
	"vivarium/web/strictyaml"
)

// given returns the names of the arguments and flags that a command line has.
func given(line *kong.Context) []string {
	var names []string
	for _, p := range line.Path {
		switch {
		case p.Flag != nil:
			names = append(names, p.Flag.Name)
		case p.Positional != nil:
			names = append(names, p.Positional.Name)
		}
	}
	return names
}

// functionFlags are the flags that a projectFile has keys for, and further ones that
// are about one function.
func functionFlags(more ...string) []string {
	for _, k := range strictyaml.Keys(reflect.TypeFor[settings]()) {
		more = append(more, k.Name)
		if k.Type.Kind() == reflect.Struct { // flags with a prefix
			for _, inner := range strictyaml.Keys(k.Type) {
				more = append(more, k.Name+"-"+inner.Name)
			}
		}
	}
	return more
}

// refuseFlags reports the flags that a projectFile takes the place of.
func refuseFlags(line *kong.Context, file string, flags []string, instead string) error {
	for _, name := range given(line) {
		if slices.Contains(flags, name) {
			return fmt.Errorf("--%s: %s says this for each function; change it there, or %s", name, file, instead)
		}
	}
	return nil
}

// project returns what is to be deployed if a projectFile says so: its functions, or
// the one that is named; nil if there is a path, or no file.
func (c *deployCommand) project(line *kong.Context) (*project, error) {
	switch args := given(line); {
	case slices.Contains(args, "path"):
		return nil, nil
	case !hasProject(".") && c.Name == "":
		return nil, fmt.Errorf("name the function: vivarium deploy NAME PATH; without a NAME, functions are those of a %s in the working directory, where there is none", projectFile)
	case !hasProject("."):
		return nil, nil
	}
	p, err := readProject(".")
	if err != nil {
		return nil, err
	}
	if err := refuseFlags(line, p.file, functionFlags("tag", "secret", "ephemeral-disk", "entrypoint"), "give the function's NAME and PATH"); err != nil {
		return nil, err
	}
	if c.Name == "" {
		return p, nil
	}
	f := p.function(c.Name)
	if f == nil {
		text := fmt.Sprintf("%s has no function %s", p.file, c.Name)
		if near := strictyaml.Nearest(c.Name, p.names()); near != "" {
			text += "; did you mean " + near + "?"
		}
		return nil, fmt.Errorf("%s (there are: %s) To deploy a folder without it, give its path as well: vivarium deploy %s PATH",
			text, strings.Join(p.names(), ", "), c.Name)
	}
	p.functions = []*projectFunction{f}
	return p, nil
}

// outcome is what became of a function of a project.
type outcome struct {
	Function  string   `json:"function"`
	VersionID string   `json:"versionId,omitempty"`
	URL       string   `json:"url,omitempty"`
	Changes   []string `json:"changes"` // what was changed, for people
	Error     string   `json:"error,omitempty"`
}

// deployProject deploys what has changed of a project. A function that can't be
// deployed does not keep it from the others.
func (c *deployCommand) deployProject(ctx context.Context, s *session, client *serverClient, p *project) error {
	t := newTerminal(s.stderr)
	created := map[string]bool{}
	for _, f := range p.functions { // first, since each may name others
		made, err := client.ensureFunction(ctx, f.name)
		if err != nil {
			c.dropAll(ctx, client, created)
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if made {
			created[f.name] = true
		}
	}
	defer c.dropAll(ctx, client, created)
	outcomes, failed := []outcome{}, 0
	for _, f := range p.functions {
		o := outcome{Function: f.name, Changes: []string{}}
		if err := c.deployOne(ctx, s, client, f, &o); err != nil {
			if ctx.Err() != nil {
				return errInterrupted
			}
			failed++
			o.Error = err.Error()
			t.say("%s: %v", f.name, err)
		} else {
			delete(created, f.name)
		}
		if !c.JSON {
			fmt.Fprintf(s.stdout, "%s: %s\n", o.Function, o.text())
		}
		outcomes = append(outcomes, o)
	}
	if c.JSON {
		if err := printJSON(s.stdout, outcomes); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d functions could not be deployed as %s has them; the others are", failed, len(p.functions), p.file)
	}
	return nil
}

// dropAll deletes functions that were made and have no version.
func (c *deployCommand) dropAll(ctx context.Context, client *serverClient, created map[string]bool) {
	for name := range created {
		client.dropEmpty(context.WithoutCancel(ctx), name)
	}
}

// text tells what became of the function.
func (o *outcome) text() string {
	changes := strings.Join(o.Changes, ", ")
	switch {
	case o.Error != "" && changes == "":
		return "failed"
	case o.Error != "":
		return changes + ", then failed"
	case changes == "":
		return "unchanged, version " + o.VersionID
	}
	return changes
}

// deployOne makes a function what the file says.
func (c *deployCommand) deployOne(ctx context.Context, s *session, client *serverClient, f *projectFunction, o *outcome) error {
	l := f.limits
	if err := c.install(ctx, s, f.source, &l); err != nil {
		return err
	}
	f.spec.Runtime = l.Runtime
	request, notes, err := f.request(f.name, f.source, f.spec)
	if err != nil {
		return err
	}
	request.AllowBroken = c.AllowBroken
	if err := client.pin(ctx, request.Secrets); err != nil {
		return err
	}
	newTerminal(s.stderr).note(notes...)
	var v *api.Version
	for _, step := range []func() error{
		func() error {
			v, err = client.version(ctx, f.name+"@"+catalog.LatestTag)
			if err != nil && !isNotFound(err) {
				return err
			}
			if err == nil && request.Makes(v) {
				return nil
			}
			if v, err = client.createVersion(ctx, s, request); err != nil {
				return withTraceback(err)
			}
			o.Changes = append(o.Changes, "new version "+v.ID)
			newTerminal(s.stderr).note(brokenNote(f.name+": ", v))
			return nil
		},
		func() error { return c.setTags(ctx, client, f, v, o) },
		func() error { return c.setScaling(ctx, client, f, o) },
		func() error { return c.setCallers(ctx, client, f, o) },
		func() error { return c.setTimers(ctx, s, client, f, o) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	o.VersionID, o.URL = v.ID, client.functionURL(f.name, v.FunctionID)
	return nil
}

// setTags gives the newest version the tags that it does not have.
func (c *deployCommand) setTags(ctx context.Context, client *serverClient, f *projectFunction, v *api.Version, o *outcome) error {
	for _, tag := range f.Tag {
		if slices.Contains(v.Tags, tag) {
			continue
		}
		_, err := client.change(ctx, http.MethodPost, "/versions/"+url.PathEscape(v.ID)+":setTag", api.TagRequest{Tag: tag}, nil)
		if err != nil {
			return err
		}
		o.Changes = append(o.Changes, "tag "+tag+" moved to version "+v.ID)
	}
	return nil
}

// setScaling sets the scaling policy of LatestTag if the file has one.
func (c *deployCommand) setScaling(ctx context.Context, client *serverClient, f *projectFunction, o *outcome) error {
	if f.Scaling == nil {
		return nil
	}
	there, err := client.scalingPolicies(ctx, f.name)
	want := f.Scaling.policy()
	if err != nil || slices.Contains(there, want) {
		return err
	}
	if _, err := client.change(ctx, http.MethodPost, functionPath(f.name)+":setScalingPolicy", api.SetScalingPolicyRequest{
		Tag: want.Tag, ProvisionedInstances: api.Int64(want.ProvisionedInstances),
		ZoneInstancesLimit: api.Int64(want.ZoneInstancesLimit), ZoneRequestsLimit: api.Int64(want.ZoneRequestsLimit),
	}, nil); err != nil {
		return err
	}
	o.Changes = append(o.Changes, "scaling policy set")
	return nil
}

// scalingPolicies returns those of a function.
func (c *serverClient) scalingPolicies(ctx context.Context, function string) (all []catalog.ScalingPolicy, err error) {
	var answer api.ListScalingPoliciesResponse
	if err := c.get(ctx, functionPath(function)+"/scalingPolicies", nil, &answer); err != nil {
		return nil, err
	}
	for _, p := range answer.Policies {
		all = append(all, catalog.ScalingPolicy{
			Tag: p.Tag, ProvisionedInstances: int(p.ProvisionedInstances),
			ZoneInstancesLimit: int(p.ZoneInstancesLimit), ZoneRequestsLimit: int(p.ZoneRequestsLimit),
		})
	}
	return all, nil
}

// setCallers makes the function public or not if the file says which.
func (c *deployCommand) setCallers(ctx context.Context, client *serverClient, f *projectFunction, o *outcome) error {
	if f.Public == nil {
		return nil
	}
	public, err := client.isPublic(ctx, f.name)
	if err != nil || *f.Public == public {
		return err
	}
	action, done := "REMOVE", "only holders of keys may call it now"
	if *f.Public {
		action, done = "ADD", "anyone may call it now"
	}
	if _, err := client.bindPublic(ctx, f.name, action); err != nil {
		return err
	}
	o.Changes = append(o.Changes, done)
	return nil
}

// setTimers makes the timers what the file says. Those that it has not stay: they may
// be somebody else's.
func (c *deployCommand) setTimers(ctx context.Context, s *session, client *serverClient, f *projectFunction, o *outcome) error {
	there, err := client.timers(ctx, f.name)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, t := range there {
		want, ok := f.Timers[t.Name]
		if !ok {
			newTerminal(s.stderr).say("%s: its timer %s is not in %s and stays; to delete it: vivarium timer delete %[2]s", f.name, t.Name, projectFile)
			continue
		}
		want.TimeZone, want.Tag = cmp.Or(want.TimeZone, "UTC"), cmp.Or(want.Tag, catalog.LatestTag)
		if done[t.Name] = want == flagsOf(t); done[t.Name] {
			continue
		}
		if _, err := client.change(ctx, http.MethodDelete, "/timers/"+url.PathEscape(t.ID), nil, nil); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Timers)) {
		if done[name] {
			continue
		}
		if _, err := client.change(ctx, http.MethodPost, "/timers", f.Timers[name].request(name, f.name), nil); err != nil {
			return err
		}
		o.Changes = append(o.Changes, "timer "+name+" set")
	}
	return nil
}
