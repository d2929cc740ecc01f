package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"vivarium/web/api"
)

// versionCommands implements `vivarium version ...`.
type versionCommands struct {
	Show      versionCommand   `cmd:"" default:"withargs" help:"Print the versions of this program and of its Python. The default."`
	List      versionList      `cmd:"" help:"List the versions of a function."`
	Get       versionGet       `cmd:"" help:"Show a version."`
	SetTag    versionSetTag    `cmd:"" help:"Move a tag to a version."`
	RemoveTag versionRemoveTag `cmd:"" help:"Remove a tag from its version."`
}

type versionList struct {
	Function string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *versionList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	versions, err := client.versions(ctx, c.Function)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, versions)
	}
	rows := [][]string{}
	for _, v := range versions {
		rows = append(rows, []string{
			v.ID, strings.Join(v.Tags, ","), v.Status, timeText(v.CreatedAt), v.Entrypoint, memoryText(v), v.ExecutionTimeout.String(),
			bytesText(int64(v.ImageSize)),
		})
	}
	return printTable(s.stdout, "ID TAGS STATUS CREATED ENTRYPOINT MEMORY TIMEOUT SIZE", rows)
}

type versionGet struct {
	Version string `arg:"" help:"Id, FUNCTION for its newest version, or FUNCTION@TAG."`
	remote
}

// Run implements the command.
func (c *versionGet) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	v, err := client.version(ctx, c.Version)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, v)
	}
	return printVersion(s, v)
}

func printVersion(s *session, v *api.Version) error {
	fields := [][2]string{
		{"id", v.ID}, {"function", v.FunctionID}, {"tags", strings.Join(v.Tags, " ")}, {"status", v.Status},
		{"description", v.Description}, {"created", timeText(v.CreatedAt)}, {"runtime", v.Runtime}, {"entrypoint", v.Entrypoint},
		{"memory", memoryText(v)}, {"timeout", v.ExecutionTimeout.String()}, {"size", bytesText(int64(v.ImageSize))},
		{"service account", v.ServiceAccountID},
	}
	if v.Async != nil {
		fields = append(fields, [2]string{"asynchronous", fmt.Sprintf("%d retries", v.Async.RetriesCount)})
	}
	for _, r := range v.Secrets {
		fields = append(fields, [2]string{"secret " + r.Variable, r.ID + "/" + r.Key + ", version " + r.VersionID})
	}
	for _, name := range slices.Sorted(maps.Keys(v.Environment)) {
		fields = append(fields, [2]string{"env " + name, v.Environment[name]})
	}
	return printFields(s.stdout, fields...)
}

// memoryText formats a version's memory limit.
func memoryText(v *api.Version) string {
	if v.Resources == nil {
		return ""
	}
	return fmt.Sprintf("%d MB", v.Resources.Memory>>20)
}

type versionSetTag struct {
	Version string `arg:"" help:"Id, FUNCTION for its newest version, or FUNCTION@TAG."`
	Tag     string `arg:"" help:"The tag."`
	remote
}

// Help is shown by `vivarium version set-tag --help`.
func (*versionSetTag) Help() string {
	return `Calls in progress finish on the version they began on.

Examples:
  vivarium version set-tag hello@v2 prod
  vivarium version set-tag hello@v1 prod    roll back`
}

// Run implements the command.
func (c *versionSetTag) Run(ctx context.Context, s *session) error {
	return c.remote.changeTag(ctx, s, c.Version, "setTag", c.Tag)
}

type versionRemoveTag struct {
	Version string `arg:"" help:"Id, or FUNCTION@TAG."`
	Tag     string `arg:"" help:"The tag."`
	remote
}

// Run implements the command.
func (c *versionRemoveTag) Run(ctx context.Context, s *session) error {
	return c.remote.changeTag(ctx, s, c.Version, "removeTag", c.Tag)
}

// changeTag sets or removes a tag.
func (r *remote) changeTag(ctx context.Context, s *session, version, verb, tag string) error {
	client, err := r.connect()
	if err != nil {
		return err
	}
	v, err := client.version(ctx, version)
	if err != nil {
		return err
	}
	if _, err := client.change(ctx, http.MethodPost, "/versions/"+v.ID+":"+verb, api.TagRequest{Tag: tag}, v); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(s.stdout, v)
	}
	tags := strings.Join(v.Tags, " ")
	if tags == "" {
		tags = "no tag, and is deleted some day"
	}
	fmt.Fprintf(s.stdout, "version %s carries %s\n", v.ID, tags)
	return nil
}
