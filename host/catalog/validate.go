package catalog

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/logs"
	pythonwasi "vivarium/python-wasi"
)

// MaxEnvironment bounds a version's environment variables, names and values
// together, in bytes (contract §6.8).
const MaxEnvironment = 4096

// Limits of the contract, §6.1, §6.2 and §6.8.
const (
	memoryStepMB        = 128
	maxMemoryMB         = 4096
	maxTimeout          = time.Hour
	maxEnvironmentValue = 4096 // bytes
	maxEntrypoint       = 256  // bytes
	maxDescription      = 600  // characters
	maxLabels           = 64
	maxRetries          = 100
	maxAllowNet         = 4096 // bytes
	maxSecretKey        = 256  // bytes
)

// textLimits are the bytes that texts may have which no other rule bounds: records
// are held in memory and listed, so nothing in them may have any length.
var textLimits = map[string]int{
	"service_account_id":                     64,
	"async_invocation_config.success_target": maxReference,
	"async_invocation_config.failure_target": maxReference,
	"function":                               maxReference,
	"cron_expression":                        256,
	"time_zone":                              64,
}

// maxReference is the longest that names a function: a tenant and a name, in
// bytes.
const maxReference = 50 + 1 + 63

// ValidateTexts checks texts, by field, for the limits that textLimits has.
func ValidateTexts(texts map[string]string) error {
	for _, field := range slices.Sorted(maps.Keys(texts)) {
		switch text, most := texts[field], textLimits[field]; {
		case len(text) > most:
			return fault.Invalidf(field, "has %d bytes, at most %d are allowed", len(text), most)
		case !utf8.ValidString(text):
			return fault.Invalidf(field, "must be UTF-8 text")
		}
	}
	return nil
}

var (
	functionName    = regexp.MustCompile(`^[a-z][-a-z0-9]{1,61}[a-z0-9]$`)
	labelKey        = regexp.MustCompile(`^[a-z][-_./\\@0-9a-z]{0,62}$`)
	labelValue      = regexp.MustCompile(`^[-_./\\@0-9a-z]{0,63}$`)
	environmentName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
	// reservedEnvironment are the names that the platform sets itself.
	reservedEnvironment = []string{
		"_HANDLER", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "PATH", "LD_LIBRARY_PATH",
	}
	// reservedNames are the first path elements that the server itself answers.
	reservedNames = []string{"functions", "console", "healthz", "readyz", "metrics", "play", "operations", "mcp"}
)

// ValidateName checks the name of a function (contract §6.1).
func ValidateName(name string) error {
	switch {
	case !functionName.MatchString(name):
		return fault.Invalidf("name", "%.80q must have 3 to 63 characters: lower-case letters, digits and hyphens, "+
			"a letter first and no hyphen last", name)
	case slices.Contains(reservedNames, name):
		return fault.Invalidf("name", "%q is an address of the server's own; choose another", name)
	}
	return nil
}

// ValidateDescription checks a description of anything.
func ValidateDescription(text string) error {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxDescription {
		return fault.Invalidf("description", "must be UTF-8 text of at most %d characters", maxDescription)
	}
	return nil
}

// ValidateLabels checks labels, of whatever has them.
//
// # Errors
//
// *fault.InvalidError.
func ValidateLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fault.Invalidf("labels", "there are %d, at most %d are allowed", len(labels), maxLabels)
	}
	for key, value := range labels {
		switch {
		case !labelKey.MatchString(key):
			return fault.Invalidf("labels", "the key %.80q must be a lower-case letter, then at most 62 lower-case letters, "+
				"digits and characters of -_./\\@", key)
		case !labelValue.MatchString(value):
			return fault.Invalidf("labels", "the value of %q must be at most 63 lower-case letters, digits and characters "+
				"of -_./\\@", key)
		}
	}
	return nil
}

// Validate checks what the owner says of a new function.
func (s FunctionSpec) Validate() error {
	if s.Tenant != "" {
		if err := ValidateTenant("folder_id", s.Tenant); err != nil {
			return err
		}
	}
	return FunctionUpdate{Name: &s.Name, Description: &s.Description, Labels: s.Labels}.Validate()
}

// Validate checks a change.
func (u FunctionUpdate) Validate() error {
	if u.Name != nil && *u.Name != "" {
		if err := ValidateName(*u.Name); err != nil {
			return err
		}
	}
	if u.Description != nil {
		if err := ValidateDescription(*u.Description); err != nil {
			return err
		}
	}
	if u.Calls != nil {
		if err := u.Calls.Validate(); err != nil {
			return err
		}
	}
	return ValidateLabels(u.Labels)
}

// Validate checks a specification that has its defaults.
func (s VersionSpec) Validate() error {
	switch {
	case s.Entrypoint == "":
		return fault.Invalidf("entrypoint", "is missing; give module.attribute, such as main.handler")
	case len(s.Entrypoint) > maxEntrypoint || !utf8.ValidString(s.Entrypoint):
		return fault.Invalidf("entrypoint", "must be UTF-8 text of at most %d bytes", maxEntrypoint)
	case s.MemoryMB > maxMemoryMB:
		return fault.Invalidf("memory", "%d MB is more than %d MB, which is all that 32-bit WebAssembly can address",
			s.MemoryMB, maxMemoryMB)
	case s.MemoryMB < memoryStepMB || s.MemoryMB%memoryStepMB != 0:
		return fault.Invalidf("memory", "%d MB must be a multiple of %d MB, at least %d", s.MemoryMB, memoryStepMB, memoryStepMB)
	case s.Timeout < 0 || s.Timeout > maxTimeout:
		return fault.Invalidf("execution_timeout", "%v must be more than 0 and at most %v", s.Timeout, maxTimeout)
	case s.MaxInstances < 1 || s.MaxInstances > maxInstances:
		return fault.Invalidf("max_instances", "%d must be between 1 and %d", s.MaxInstances, maxInstances)
	case s.MinLogLevel != "" && !slices.Contains(logs.Levels, s.MinLogLevel):
		return fault.Invalidf("min_log_level", "%.80q must be one of %v", s.MinLogLevel, logs.Levels)
	case s.MinInstances < 0 || s.MinInstances > s.MaxInstances:
		return fault.Invalidf("min_instances", "%d must be between 0 and %d, the most instances of the function",
			s.MinInstances, s.MaxInstances)
	}
	if err := s.validateDisks(); err != nil {
		return err
	}
	guest, ok := pythonwasi.ByRuntime(s.Runtime)
	if !ok {
		return fault.Invalidf("runtime", "%.80q must be one of %v", s.Runtime, pythonwasi.Runtimes())
	}
	if available := pythonwasi.Runtimes(); !slices.Contains(available, s.Runtime) {
		return fault.Invalidf("runtime", "%v; or choose one of %v", guest.Built(), available)
	}
	if _, err := networkRules(s.AllowNet, egress.ParsePolicy); err != nil {
		return err
	}
	texts := map[string]string{"service_account_id": s.ServiceAccountID}
	if a := s.Async; a != nil {
		if a.Retries < 0 || a.Retries > maxRetries {
			return fault.Invalidf("async_invocation_config.retries_count", "%d must be between 0 and %d", a.Retries, maxRetries)
		}
		texts["async_invocation_config.success_target"] = a.Success
		texts["async_invocation_config.failure_target"] = a.Failure
	}
	if err := ValidateTexts(texts); err != nil {
		return err
	}
	if err := ValidateDescription(s.Description); err != nil {
		return err
	}
	if err := validateEnvironment(s.Environment); err != nil {
		return err
	}
	return s.validateSecrets()
}

// Limits of what an instance can write to. It is in memory, which is counted when it is
// written.
const (
	tmpNeedsMB   = 1024 // memory from which on /tmp can be larger
	maxDisks     = 5
	maxDiskBytes = 64 << 30
)

var diskName = regexp.MustCompile(`^[-_0-9a-zA-Z]{1,63}$`)

func (s VersionSpec) validateDisks() error {
	switch most := int64(s.MemoryMB) << 20 / 4 * 3; {
	case s.TmpBytes == 0 || s.TmpBytes == DefaultTmpBytes:
	case s.MemoryMB < tmpNeedsMB:
		return fault.Invalidf("tmpfs_size", "%d must be 0 or %d unless the memory is at least %d MB", s.TmpBytes, DefaultTmpBytes, tmpNeedsMB)
	case s.TmpBytes < DefaultTmpBytes || s.TmpBytes > most:
		return fault.Invalidf("tmpfs_size", "%d must be between %d and three quarters of the memory, %d", s.TmpBytes, DefaultTmpBytes, most)
	}
	if len(s.Disks) > maxDisks {
		return fault.Invalidf("mounts", "there are %d, at most %d are allowed", len(s.Disks), maxDisks)
	}
	seen := map[string]bool{}
	for _, d := range s.Disks {
		switch {
		case !diskName.MatchString(d.Name):
			return fault.Invalidf("mounts", "the name %.80q must be 1 to 63 letters, digits, hyphens and underscores", d.Name)
		case seen[d.Name]:
			return fault.Invalidf("mounts", "there are two of the name %s", d.Name)
		case d.Bytes < 1<<20 || d.Bytes > maxDiskBytes:
			return fault.Invalidf("mounts", "%s has a size of %d bytes; it must be between %d and %d", d.Name, d.Bytes, 1<<20, int64(maxDiskBytes))
		}
		seen[d.Name] = true
	}
	return nil
}

func (s VersionSpec) validateSecrets() error {
	seen := map[string]bool{}
	for _, r := range s.Secrets {
		_, taken := s.Environment[r.Variable]
		switch field := fmt.Sprintf("secret of environment variable %.80q", r.Variable); {
		case slices.Contains(reservedEnvironment, r.Variable):
			return fault.Invalidf(field, "the name is reserved for the platform; choose another")
		case !environmentName.MatchString(r.Variable):
			return fault.Invalidf(field, "a name is a letter, then letters, digits and underscores")
		case taken || seen[r.Variable]:
			return fault.Invalidf(field, "the variable is set in two ways; leave one out")
		case r.ID == "" || r.Key == "":
			return fault.Invalidf(field, "name a secret and a key of it")
		case len(r.ID) > maxReference || len(r.VersionID) > maxReference || len(r.Key) > maxSecretKey:
			return fault.Invalidf(field, "the name of the secret, or of what it has, is too long")
		}
		seen[r.Variable] = true
	}
	return nil
}

func validateEnvironment(env map[string]string) error {
	for name, value := range env {
		field := fmt.Sprintf("environment variable %.80q", name)
		switch {
		case slices.Contains(reservedEnvironment, name):
			return fault.Invalidf(field, "the name is reserved for the platform; choose another")
		case !environmentName.MatchString(name):
			return fault.Invalidf(field, "a name is a letter, then letters, digits and underscores")
		case len(value) > maxEnvironmentValue:
			return fault.Invalidf(field, "the value has %d bytes, at most %d are allowed", len(value), maxEnvironmentValue)
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return fault.Invalidf(field, "the value must be UTF-8 text without NUL")
		}
	}
	if total := environmentSize(env); total > MaxEnvironment {
		return fault.Invalidf("environment", "names and values have %d bytes together, at most %d are allowed", total, MaxEnvironment)
	}
	return nil
}

// environmentSize returns the bytes of names and values.
func environmentSize(env map[string]string) (size int) {
	for name, value := range env {
		size += len(name) + len(value)
	}
	return size
}

// ParseCeiling parses what is to bound the network of a tenant, see egress.ParseCeiling.
//
// # Errors
//
// *fault.InvalidError.
func ParseCeiling(text string) (*egress.Policy, error) {
	return networkRules(text, egress.ParseCeiling)
}

// networkRules parses rules about the network from outside.
func networkRules(text string, parse func(string) (*egress.Policy, error)) (*egress.Policy, error) {
	if len(text) > maxAllowNet {
		return nil, fault.Invalidf("allow_net", "%d bytes are more than %d", len(text), maxAllowNet)
	}
	p, err := parse(text)
	if err != nil {
		return nil, fault.Invalidf("allow_net", "must be hosts, addresses and prefixes with commas between them: %v", err)
	}
	return p, nil
}
