//go:build terraform

package grpcapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
)

// terraform is a folder with a configuration, and OpenTofu with the cloud's provider, both
// as they are released.
type terraform struct {
	t    *testing.T
	tofu string
	dir  string
	env  []string
}

func newTerraform(t *testing.T, s *server) *terraform {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join(cache, "vivarium", "servers", "terraform")
	tofu := filepath.Join(tools, "tofu")
	if _, err := os.Stat(tofu); err != nil {
		t.Fatalf("%v (built by: go tool task test:terraform)", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/terraform")); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("provider_installation {\n  dev_overrides { \"yandex-cloud/yandex\" = %q }\n}\n", tools)
	file := filepath.Join(dir, "settings")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return &terraform{t, tofu, dir, []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + s.certificate, "TF_CLI_CONFIG_FILE=" + file, "CHECKPOINT_DISABLE=1",
		"TF_VAR_endpoint=" + s.address, "TF_VAR_token=" + s.newKey("acme", access.RoleAdmin), "TF_VAR_zip=" + filepath.Join(dir, "code.zip"),
	}}
}

// run runs a command and returns its output and status.
func (tf *terraform) run(args ...string) (string, int) {
	tf.t.Helper()
	// Flags come first.
	c := exec.CommandContext(tf.t.Context(), tf.tofu, append([]string{args[0], "-no-color", "-input=false"}, args[1:]...)...)
	c.Dir, c.Env = tf.dir, tf.env
	out, err := c.CombinedOutput()
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			tf.t.Fatal(err)
		}
	}
	return string(out), c.ProcessState.ExitCode()
}

func (tf *terraform) must(args ...string) {
	tf.t.Helper()
	if out, status := tf.run(args...); status != 0 {
		tf.t.Fatalf("%v: status %d\n%s", args, status, out)
	}
}

// plan returns the addresses of what is to be changed, with how.
func (tf *terraform) plan() string {
	tf.t.Helper()
	out, status := tf.run("plan", "-out=plan", "-detailed-exitcode")
	if status == 1 {
		tf.t.Fatal(out)
	}
	c := exec.CommandContext(tf.t.Context(), tf.tofu, "show", "-json", "plan")
	c.Dir, c.Env = tf.dir, tf.env
	text, err := c.Output()
	if err != nil {
		tf.t.Fatal(err)
	}
	var plan struct {
		Changes []struct {
			Address string
			Change  struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		tf.t.Fatal(err)
	}
	var changes []string
	for _, r := range plan.Changes {
		if how := strings.Join(r.Change.Actions, ","); how != "no-op" {
			changes = append(changes, how+" "+r.Address)
		}
	}
	return strings.Join(changes, "; ")
}

// wants fails the test unless a plan is the given one.
func (tf *terraform) wants(when, want string) {
	tf.t.Helper()
	if got := tf.plan(); got != want {
		tf.t.Errorf("%s: the plan is %q, want %q", when, got, want)
	}
}

func (tf *terraform) code(answer string) {
	tf.t.Helper()
	zip := archive(tf.t, "import os\ndef handler(event, context):\n    return {'body': '"+answer+" ' + os.environ['NAME']}\n")
	if err := os.WriteFile(filepath.Join(tf.dir, "code.zip"), zip, 0o600); err != nil {
		tf.t.Fatal(err)
	}
}

// edit replaces a text in the configuration.
func (tf *terraform) edit(old, text string) {
	tf.t.Helper()
	file := filepath.Join(tf.dir, "main.tf")
	was, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(was), old) {
		tf.t.Fatal(old, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(was), old, text)), 0o600); err != nil {
		tf.t.Fatal(err)
	}
}

// A function with all that belongs to it is made, changed, taken over and removed; what is
// there already needs no change.
func TestTerraform(t *testing.T) {
	s := startServer(t)
	tf := newTerraform(t, s)
	tf.code("one")
	acme := access.Operator.In("acme")
	call := func(want string) string {
		t.Helper()
		f, err := s.host.Catalog().Function(acme, "hello")
		if err != nil {
			t.Fatal(err)
		}
		if status, got := s.call("https://"+s.address+"/"+f.ID, ""); status != 200 || got != want {
			t.Errorf("called without a key: %d %s, want %s", status, got, want)
		}
		return f.ID
	}
	timer := func() events.Timer {
		t.Helper()
		timers, err := s.host.Events().Timers(acme, "")
		if err != nil || len(timers) != 1 {
			t.Fatalf("got %v, %v", timers, err)
		}
		return timers[0]
	}
	tf.wants("at first", "create yandex_function.hello; create yandex_function_iam_binding.public; "+
		"create yandex_function_scaling_policy.hello; create yandex_function_trigger.hourly; "+
		"create yandex_iam_service_account.robot; create yandex_resourcemanager_folder_iam_member.robot")
	tf.must("apply", "plan")
	id := call("one Ann")
	policies, err := s.host.Catalog().ScalingPolicies(acme, id)
	if want := (catalog.ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 3, ZoneRequestsLimit: 20}); err != nil ||
		!slices.Equal(policies, []catalog.ScalingPolicy{want}) {
		t.Errorf("got %v, %v", policies, err)
	}
	if got := timer(); got.FunctionID != id || got.Tag != "prod" || got.Cron != "0 * ? * * *" || got.Payload != "tick" ||
		got.Retry != (events.Retry{Attempts: 3, Interval: 15 * time.Second}) {
		t.Errorf("got %+v", got)
	}
	if f, err := s.host.Catalog().VersionByTag(acme, id, "prod"); err != nil || !strings.HasPrefix(f.ServiceAccountID, "aje") {
		t.Errorf("acts for %q, %v", f.ServiceAccountID, err)
	}
	tf.wants("applied", "")

	tf.code("two")
	tf.wants("with other code", "update yandex_function.hello")
	tf.must("apply", "plan")
	call("two Ann")
	tf.wants("with other code, applied", "")

	tf.edit(`"Ann"`, `"Bob"`)
	tf.edit("0 * ? * * *", "30 * ? * * *")
	tf.edit("= 20", "= 30")
	tf.wants("with other settings", "update yandex_function.hello; update yandex_function_scaling_policy.hello; update yandex_function_trigger.hourly")
	tf.must("apply", "plan")
	call("two Bob")
	if got := timer(); got.Cron != "30 * ? * * *" {
		t.Errorf("got %+v", got)
	}
	tf.wants("with other settings, applied", "")

	// As if somebody else had made all of it.
	if err := os.Remove(filepath.Join(tf.dir, "terraform.tfstate")); err != nil {
		t.Fatal(err)
	}
	accounts, err := s.host.Accounts().ServiceAccounts(acme)
	if err != nil || len(accounts) != 1 {
		t.Fatalf("got %v, %v", accounts, err)
	}
	robot := accounts[0].ID
	tf.must("import", "yandex_iam_service_account.robot", robot)
	tf.must("import", "yandex_resourcemanager_folder_iam_member.robot", "acme functions.functionInvoker serviceAccount:"+robot)
	tf.must("import", "yandex_function.hello", id)
	tf.must("import", "yandex_function_trigger.hourly", timer().ID)
	tf.must("import", "yandex_function_scaling_policy.hello", id)
	tf.must("import", "yandex_function_iam_binding.public", id+" serverless.functions.invoker")
	tf.wants("imported", "update yandex_function.hello") // from which archive it was made, the provider does not import
	tf.must("apply", "plan")
	tf.wants("imported, applied", "")

	tf.must("destroy", "-auto-approve")
	if all, err := s.host.Catalog().Functions(acme); err != nil || len(all) != 0 {
		t.Errorf("%v, %v are left", all, err)
	}
	if accounts, err = s.host.Accounts().ServiceAccounts(acme); err != nil || len(accounts) != 0 {
		t.Errorf("%v, %v are left", accounts, err)
	}
}

// What is wrong is said before anything else happens, with the field.
func TestTerraform_SaysWhatIsWrong(t *testing.T) {
	s := startServer(t)
	tf := newTerraform(t, s)
	tf.code("one")
	tf.edit("0 * ? * * *", "never")
	if out, status := tf.run("apply", "-auto-approve"); status != 1 || !strings.Contains(out, "cron_expression") {
		t.Errorf("status %d\n%s", status, out)
	}
	tf.edit(`"main.handler"`, `"main.nothing"`)
	if out, status := tf.run("apply", "-auto-approve"); status != 1 || !strings.Contains(out, "entrypoint") {
		t.Errorf("status %d\n%s", status, out)
	}
}
