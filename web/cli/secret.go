package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"vivarium/host/access"
	"vivarium/host/secrets"
	"vivarium/web/api"
)

// secretCommands implements `vivarium secret ...`.
type secretCommands struct {
	Set    secretSet    `cmd:"" help:"Keep a secret, or change it. Values are read from standard input or a file, since other users of the machine see arguments."`
	List   secretList   `cmd:"" help:"List secrets and their keys. Nothing shows the values."`
	Delete secretDelete `cmd:"" help:"Delete a secret."`
}

type secretSet struct {
	Name        string  `arg:"" help:"Name of the secret."`
	Key         string  `arg:"" optional:"" help:"Key whose value is standard input, without a line end."`
	EnvFile     string  `placeholder:"FILE" help:"File with keys and values, a line KEY=VALUE each, such as .env; - is standard input."`
	Only        bool    `help:"Keep no other keys. Default: keys that are not named keep their values."`
	Description *string `placeholder:"TEXT" help:"Description of the secret."`
	remote
}

// Help is shown by `vivarium secret set --help`.
func (*secretSet) Help() string {
	return `Functions get it as environment variables, by "vivarium deploy --secret VARIABLE=NAME/KEY" or the key secrets of a
vivarium.yaml. A change reaches them when they are deployed again. The server needs --secrets-key-file.

Examples:
  vivarium secret set telegram token < token.txt
  vivarium secret set database --env-file .env.production`
}

// Run implements the command.
func (c *secretSet) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	request := api.SetSecretRequest{Name: c.Name, Description: c.Description, Only: c.Only}
	if request.Entries, err = c.entries(s); err != nil {
		return err
	}
	var secret api.Secret
	if _, err := client.change(ctx, http.MethodPost, "/secrets", request, &secret); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, secret)
	}
	version := secret.Current()
	fmt.Fprintf(s.stdout, "secret %s has the keys %s, version %s\n", secret.Name, strings.Join(version.Keys, ", "), version.ID)
	return nil
}

// entries reads the values.
func (c *secretSet) entries(s *session) (map[string]string, error) {
	switch {
	case (c.Key == "") == (c.EnvFile == ""):
		return nil, errors.New("give a KEY, whose value is read from standard input, or --env-file FILE")
	case strings.Contains(c.Key, "="):
		return nil, errors.New("give the KEY alone: other users of the machine see arguments; its value is read from standard input")
	case c.EnvFile != "" && c.EnvFile != "-":
		text, err := readEnvFile(c.EnvFile)
		if err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
		return c.parsed(string(text))
	}
	if s.interactive() {
		newTerminal(s.stderr).say("type the value, then Enter and Ctrl-D; it is shown as you type")
	}
	text, err := io.ReadAll(io.LimitReader(s.stdin, maxEnvFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("standard input: %w", err)
	case len(text) > maxEnvFile:
		return nil, fmt.Errorf("standard input has more than %s", bytesText(maxEnvFile))
	case c.Key == "":
		return c.parsed(string(text))
	}
	return map[string]string{c.Key: strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")}, nil
}

func (c *secretSet) parsed(text string) (map[string]string, error) {
	entries := map[string]string{}
	if err := parseEnv(text, entries); err != nil {
		return nil, fmt.Errorf("--env-file %s: %w", c.EnvFile, err)
	}
	return entries, nil
}

type secretList struct{ remote }

// Run implements the command.
func (c *secretList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	all, err := client.secrets(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, all)
	}
	rows := [][]string{}
	for _, secret := range all {
		v := secret.Current()
		rows = append(rows, []string{
			secret.Name, secret.ID, secret.FolderID, strings.Join(v.Keys, " "), v.ID, timeText(v.CreatedAt), secret.Description,
		})
	}
	return printTable(s.stdout, "NAME ID TENANT KEYS VERSION SET DESCRIPTION", rows)
}

// secrets lists all secrets.
func (c *serverClient) secrets(ctx context.Context) ([]*api.Secret, error) {
	var answer api.ListSecretsResponse
	if err := c.get(ctx, "/secrets", nil, &answer); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(answer.Secrets, func(s *api.Secret) bool { return len(s.Versions) == 0 }), nil
}

type secretDelete struct {
	Secret string `arg:"" help:"Name or id."`
	remote
}

// Run implements the command.
func (c *secretDelete) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	op, err := client.change(ctx, http.MethodDelete, "/secrets/"+url.PathEscape(c.Secret), nil, nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, op)
	}
	fmt.Fprintf(s.stdout, "deleted secret %s; instances that have it keep it until they end\n", c.Secret)
	return nil
}

// references returns what flags or a projectFile say of secrets, VARIABLE=NAME/KEY, by
// variable.
func references(said map[string]string) ([]api.SecretReference, error) {
	var all []api.SecretReference
	for _, variable := range slices.Sorted(maps.Keys(said)) {
		name, key, ok := strings.Cut(said[variable], "/")
		if !ok || name == "" || key == "" {
			return nil, fmt.Errorf("secret %s: write NAME/KEY, as in telegram/token", variable)
		}
		all = append(all, api.SecretReference{ID: name, Key: key, Variable: variable})
	}
	return all, nil
}

// pin makes references those to the versions that are current now, as the server does,
// so that a request can be compared with a version.
func (c *serverClient) pin(ctx context.Context, references []api.SecretReference) error {
	if len(references) == 0 {
		return nil
	}
	all, err := c.secrets(ctx)
	if err != nil {
		return err
	}
	for i := range references {
		r := &references[i]
		var found *api.Secret
		for _, s := range all {
			// With a key for all tenants, names are those of the default one.
			if s.ID == r.ID || s.Name == r.ID && (found == nil || s.FolderID == access.DefaultTenant) {
				found = s
			}
		}
		if found != nil {
			r.ID, r.VersionID = found.ID, found.Current().ID
		}
	}
	return nil
}

// secretKeys has the flag of what encrypts secrets.
type secretKeys struct {
	SecretsKeyFile string `placeholder:"FILE" help:"File with the key that encrypts secrets, made by openssl rand -base64 32, and on further lines keys that only decrypt. Default: the keys in VIVARIUM_SECRETS_KEY."`
}

// secretsVariable has the keys where there is no file.
const secretsVariable = "VIVARIUM_SECRETS_KEY"

// maxKeyText bounds the file, in bytes.
const maxKeyText = 4096

// keyring returns the keys; nil if there are none. The variable is then gone from the
// environment, which other processes inherit.
func (f secretKeys) keyring(t *terminal) (*secrets.Keyring, error) {
	text, from := os.Getenv(secretsVariable), secretsVariable
	_ = os.Unsetenv(secretsVariable) // never fails for such a name
	if f.SecretsKeyFile != "" {
		from = "--secrets-key-file " + f.SecretsKeyFile
		info, err := os.Stat(f.SecretsKeyFile)
		if err == nil && info.Size() > maxKeyText {
			err = fmt.Errorf("it has more than %d bytes", maxKeyText)
		}
		var content []byte
		if err == nil {
			content, err = os.ReadFile(f.SecretsKeyFile)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		if text = string(content); info.Mode().Perm()&0o077 != 0 {
			t.say("other users of the machine can read %s; chmod 600 it", f.SecretsKeyFile)
		}
	} else if text == "" {
		return nil, nil
	}
	keys, err := secrets.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return keys, nil
}
