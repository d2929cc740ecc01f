package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/web/api"
)

// exported is a function that is to be described for the cloud.
type exported struct {
	name        string
	description string
	spec        catalog.VersionSpec // with its defaults and an entry point
	hidden      []string            // variables whose values are not to be in the file
	tags        []string
	async       asyncFlags            // nothing if spec.Async is nil
	secrets     []api.SecretReference // with names
	public      bool
	policies    []catalog.ScalingPolicy
	timers      map[string]timerFlags
	archive     func() ([]byte, error)
}

// identifier returns what the function is called in HCL. Names of functions have no
// underscores.
func (f *exported) identifier() string { return strings.ReplaceAll(f.name, "-", "_") }

// terraform describes functions for the cloud's provider of Terraform.
type terraform struct {
	hclWriter
	archives string // folder of the archives, as the file has it
	runtime  string
	invokes  bool // something needs variableInvoker
	notes    []string
}

// variableInvoker is whom timers call functions as.
const variableInvoker = "invoker_service_account_id"

// note says what can't be expressed, in the file and to the user.
func (t *terraform) note(function, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.comment("%s", text)
	t.notes = append(t.notes, function+": "+text)
}

// file returns the description of all functions.
func (t *terraform) file(functions []*exported) string {
	t.comment("Python here is 3.13. The cloud installs what a requirements.txt in the archive names.")
	t.block("terraform", func() {
		t.block("required_providers", func() {
			t.setMap("yandex", [][2]string{{"source", hclQuote("yandex-cloud/yandex")}})
		})
	})
	for _, f := range functions {
		t.function(f)
		t.callers(f)
		t.scaling(f)
		for _, name := range slices.Sorted(maps.Keys(f.timers)) {
			t.timer(f, name, f.timers[name])
		}
	}
	names := map[string]bool{}
	for _, f := range functions {
		for _, r := range f.secrets {
			names[r.ID] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		id := secretVariable(name)
		t.variable(id+"_id", "Secret in Lockbox that has what the secret "+name+" had.", false)
		t.variable(id+"_version_id", "Its version.", false)
	}
	if t.invokes {
		t.variable(variableInvoker, "Service account that calls functions; it needs the role functions.functionInvoker.", false)
	}
	return t.text.String()
}

// secretVariable returns what the variables of a secret begin with.
func secretVariable(secret string) string { return "secret_" + strings.ReplaceAll(secret, "-", "_") }

func (t *terraform) variable(name, description string, secret bool) {
	t.block("variable "+hclQuote(name), func() {
		t.set("type", "string")
		t.setText("description", description)
		if secret {
			t.set("sensitive", "true")
		}
	})
}

func (t *terraform) function(f *exported) {
	id, zip := f.identifier(), t.archives+"/"+f.name+".zip"
	for _, name := range f.hidden {
		t.variable(id+"_"+name, "Variable "+name+" of the function "+f.name+".", true)
	}
	t.block(`resource "yandex_function" `+hclQuote(id), func() {
		s := f.spec
		t.setText("name", f.name)
		t.setText("description", cmp.Or(f.description, s.Description))
		t.setText("runtime", t.runtime)
		t.setText("entrypoint", s.Entrypoint)
		t.setText("memory", strconv.Itoa(s.MemoryMB))
		t.setText("execution_timeout", strconv.Itoa(int((s.Timeout+time.Second-1)/time.Second)))
		t.setText("service_account_id", s.ServiceAccountID)
		if s.TmpBytes > 0 {
			t.set("tmpfs_size", strconv.FormatInt(s.TmpBytes>>20, 10))
		}
		if len(f.tags) > 0 {
			t.set("tags", hclQuotes(f.tags))
		}
		t.set("user_hash", "filesha256("+hclQuote(zip)+")")
		t.setMap("environment", t.environment(f))
		for _, r := range f.secrets {
			t.block("secrets", func() {
				name := secretVariable(r.ID)
				t.set("id", "var."+name+"_id")
				t.set("version_id", "var."+name+"_version_id")
				t.setText("key", r.Key)
				t.setText("environment_variable", r.Variable)
			})
		}
		t.block("content", func() { t.setText("zip_filename", zip) })
		if s.MinLogLevel != "" {
			t.block("log_options", func() { t.setText("min_level", string(s.MinLogLevel)) })
		}
		for _, d := range s.Disks {
			t.block("mounts", func() {
				t.setText("name", d.Name)
				t.setText("mode", "rw")
				t.block("ephemeral_disk", func() { t.set("size_gb", strconv.FormatInt((d.Bytes+1<<30-1)>>30, 10)) })
			})
		}
		t.async(f)
		t.differences(f)
	})
}

func (t *terraform) environment(f *exported) (pairs [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(f.spec.Environment)) {
		value := hclQuote(f.spec.Environment[name])
		if slices.Contains(f.hidden, name) {
			value = "var." + f.identifier() + "_" + name
		}
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs
}

func (t *terraform) async(f *exported) {
	if f.async == (asyncFlags{}) {
		return
	}
	t.invokes = true
	t.block("async_invocation", func() {
		retries := 0
		if f.async.Retries != nil {
			retries = *f.async.Retries
		}
		t.setText("retries_count", strconv.Itoa(retries))
		t.set("service_account_id", "var."+variableInvoker)
		for _, target := range [][2]string{{"success", f.async.Success}, {"failure", f.async.Failure}} {
			if target[1] != "" {
				t.note(f.name, "The %s target of asynchronous calls, the function %s, can't be expressed: the cloud's are message queues. "+
					"Add ymq_%[1]s_target, and a trigger for the queue.", target[0], target[1])
			}
		}
	})
}

// differences says which settings the cloud does not have.
func (t *terraform) differences(f *exported) {
	s := f.spec
	if s.Timeout%time.Second != 0 {
		t.note(f.name, "The timeout was %v; the cloud's are whole seconds.", s.Timeout)
	}
	if s.AllowNet != "" {
		t.note(f.name, "The network was restricted to %s. In the cloud a function reaches the whole internet, or what a network in connectivity has.", s.AllowNet)
	} else {
		t.note(f.name, "The function had no network. In the cloud it reaches the whole internet.")
	}
	if s.NoFreeze {
		t.comment("no-freeze needs no counterpart: in the cloud each instance imports the module itself.")
	}
}

func (t *terraform) callers(f *exported) {
	if !f.public {
		return
	}
	t.block(`resource "yandex_function_iam_binding" `+hclQuote(f.identifier()+"_public"), func() {
		t.set("function_id", t.id(f))
		t.setText("role", "functions.functionInvoker")
		t.set("members", `["system:allUsers"]`)
	})
}

func (t *terraform) id(f *exported) string { return "yandex_function." + f.identifier() + ".id" }

func (t *terraform) scaling(f *exported) {
	if len(f.policies) == 0 {
		return
	}
	t.block(`resource "yandex_function_scaling_policy" `+hclQuote(f.identifier()), func() {
		t.set("function_id", t.id(f))
		for _, p := range f.policies {
			t.block("policy", func() {
				t.setText("tag", p.Tag)
				t.set("zone_instances_limit", strconv.Itoa(p.ZoneInstancesLimit))
				t.set("zone_requests_limit", strconv.Itoa(p.ZoneRequestsLimit))
				if n := p.ProvisionedInstances; n > 0 {
					t.note(f.name, "The %d provisioned instances of %s can't be expressed; set them with "+
						"yc serverless function set-scaling-policy --provisioned-instances-count.", n, p.Tag)
				}
			})
		}
	})
}

func (t *terraform) timer(f *exported, name string, timer timerFlags) {
	cron, err := events.CloudCron(timer.Cron, timer.TimeZone)
	if err != nil {
		t.flush()
		t.text.WriteByte('\n')
		t.note(f.name, "The timer %s, %s, can't be expressed: %v. Make one or several like it.", name, timer.Cron, err)
		return
	}
	t.block(`resource "yandex_function_trigger" `+hclQuote(f.identifier()+"_"+strings.ReplaceAll(name, "-", "_")), func() {
		t.setText("name", name)
		t.block("timer", func() {
			t.setText("cron_expression", cron)
			t.setText("payload", timer.Payload)
		})
		t.block("function", func() {
			t.set("id", t.id(f))
			t.setText("tag", cmp.Or(timer.Tag, catalog.LatestTag))
			if timer.RetryAttempts > 0 {
				t.set("retry_attempts", strconv.Itoa(timer.RetryAttempts))
				t.set("retry_interval", strconv.Itoa(int(timer.RetryInterval.Seconds())))
			}
			if !f.public {
				t.invokes = true
				t.set("service_account_id", "var."+variableInvoker)
			}
		})
	})
}
