package cli

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vivarium/web/api"
)

// functionCommands implements `vivarium function ...`.
type functionCommands struct {
	List   functionList   `cmd:"" help:"List the functions on a server."`
	Get    functionGet    `cmd:"" help:"Show a function and which versions have its tags."`
	Delete functionDelete `cmd:"" help:"Delete a function and all its versions."`
	Calls  functionCalls  `cmd:"" help:"Show and set what is kept of a function's calls."`
	Allow  functionAllow  `cmd:"" name:"allow-unauthenticated-invoke" help:"Let anyone call a function, without a key."`
	Deny   functionDeny   `cmd:"" name:"deny-unauthenticated-invoke" help:"Let only holders of keys call a function."`
}

type functionList struct{ remote }

// Run implements the command.
func (c *functionList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	all, err := client.functions(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, all)
	}
	rows := [][]string{}
	for _, f := range all {
		rows = append(rows, []string{f.Name, f.ID, f.FolderID, f.Status, timeText(f.CreatedAt), f.Description})
	}
	return printTable(s.stdout, "NAME ID TENANT STATUS CREATED DESCRIPTION", rows)
}

type functionGet struct {
	Function string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *functionGet) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var f api.Function
	if err := client.get(ctx, functionPath(c.Function), nil, &f); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, f)
	}
	versions, err := client.versions(ctx, f.ID)
	if err != nil {
		return err
	}
	public, err := client.isPublic(ctx, f.ID)
	if err != nil {
		return err
	}
	callers := "holders of keys, where keys are needed"
	if public {
		callers = "anybody"
	}
	fields := [][2]string{
		{"name", f.Name}, {"id", f.ID}, {"status", f.Status}, {"description", f.Description},
		{"created", timeText(f.CreatedAt)}, {"url", client.functionURL(f.Name, f.ID)}, {"log group", f.LogGroupID}, {"tenant", f.FolderID}, {"may be called by", callers},
	}
	for _, label := range slices.Sorted(maps.Keys(f.Labels)) {
		fields = append(fields, [2]string{"label " + label, f.Labels[label]})
	}
	fields = append(fields, [2]string{"versions", fmt.Sprint(len(versions))})
	for _, v := range versions {
		for _, tag := range v.Tags {
			fields = append(fields, [2]string{"tag " + tag, v.ID})
		}
	}
	return printFields(s.stdout, fields...)
}

type functionDelete struct {
	Function string `arg:"" help:"Name or id."`
	Yes      bool   `short:"y" help:"Don't ask for confirmation, which only happens on a terminal."`
	remote
}

// Run implements the command.
func (c *functionDelete) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	if err := c.confirm(ctx, s, client); err != nil {
		return err
	}
	op, err := client.change(ctx, http.MethodDelete, functionPath(c.Function), nil, nil)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(s.stdout, op)
	case !op.Done:
		fmt.Fprintf(s.stdout, "%s is deleted as soon as its calls in progress finish\n", c.Function)
	default:
		fmt.Fprintf(s.stdout, "deleted %s\n", c.Function)
	}
	return nil
}

// confirm asks the user, if there is one at a terminal.
func (c *functionDelete) confirm(ctx context.Context, s *session, client *serverClient) error {
	if c.Yes || !s.interactive() {
		return nil
	}
	versions, err := client.versions(ctx, c.Function)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stderr, "Delete %s with all its versions (%d), its log and its timers? Type yes: ", c.Function, len(versions))
	answer, _ := bufio.NewReader(s.stdin).ReadString('\n') // whatever ends the input says no
	if strings.TrimSpace(answer) != "yes" {
		return fmt.Errorf("%s is not deleted", c.Function)
	}
	return nil
}

type functionAllow struct {
	Function string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *functionAllow) Run(ctx context.Context, s *session) error {
	return c.setPublic(ctx, s, c.Function, "ADD", "anyone may call")
}

type functionDeny struct {
	Function string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *functionDeny) Run(ctx context.Context, s *session) error {
	return c.setPublic(ctx, s, c.Function, "REMOVE", "only holders of keys may call")
}

// setPublic adds or removes the access binding that makes a function public.
func (r *remote) setPublic(ctx context.Context, s *session, function, action, done string) error {
	client, err := r.connect()
	if err != nil {
		return err
	}
	op, err := client.bindPublic(ctx, function, action)
	if err != nil {
		return err
	}
	if r.JSON {
		return printJSON(s.stdout, op)
	}
	fmt.Fprintf(s.stdout, "%s %s\n", done, function)
	return nil
}

// isPublic reports whether anyone may call a function.
func (c *serverClient) isPublic(ctx context.Context, function string) (bool, error) {
	var bindings api.ListAccessBindingsResponse
	err := c.get(ctx, functionPath(function)+":listAccessBindings", nil, &bindings)
	return len(bindings.AccessBindings) > 0, err
}

// bindPublic adds or removes that access binding.
func (c *serverClient) bindPublic(ctx context.Context, function, action string) (*operation, error) {
	request := api.UpdateAccessBindingsRequest{
		Deltas: []api.AccessBindingDelta{{Action: action, AccessBinding: api.PublicBinding()}},
	}
	return c.change(ctx, http.MethodPost, functionPath(function)+":updateAccessBindings", request, nil)
}

// functionURL returns where a function is called. Names alone are those of the key's
// tenant, or of the default one.
func (c *serverClient) functionURL(name, id string) string {
	if name == "" || c.tenant != "" {
		name = id
	}
	return c.base + "/" + name
}

// functionPath returns the path of a function, given by id or name.
func functionPath(function string) string { return "/functions/" + url.PathEscape(function) }

// functions lists all functions.
func (c *serverClient) functions(ctx context.Context) ([]*api.Function, error) {
	return list(ctx, c, "/functions", nil, func(p *api.ListFunctionsResponse) ([]*api.Function, string) {
		return p.Functions, p.NextPageToken
	})
}

// versions lists all versions of a function, newest first.
func (c *serverClient) versions(ctx context.Context, function string) ([]*api.Version, error) {
	return list(ctx, c, "/versions", url.Values{"functionId": {function}}, func(p *api.ListVersionsResponse) ([]*api.Version, string) {
		return p.Versions, p.NextPageToken
	})
}

// version finds a version by id, or as FUNCTION or FUNCTION@TAG.
func (c *serverClient) version(ctx context.Context, reference string) (*api.Version, error) {
	var v api.Version
	function, tag, tagged := strings.Cut(reference, "@")
	if !tagged {
		err := c.get(ctx, "/versions/"+url.PathEscape(reference), nil, &v)
		if err == nil || !isNotFound(err) {
			return &v, err
		}
	}
	err := c.get(ctx, "/versions:byTag", url.Values{"functionId": {function}, "tag": {tag}}, &v)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w; name a version by its id, as FUNCTION, or as FUNCTION@TAG", err)
	}
	return &v, err
}
