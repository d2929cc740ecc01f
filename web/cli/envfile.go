package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
)

// maxEnvFile bounds an --env-file, in bytes. An environment has much less.
const maxEnvFile = 1 << 20

// environment returns the variables that --env-file and --env set; of several
// values the last one counts, and --env before all. Read reads a file.
func (l limits) environment(read func(name string) ([]byte, error)) (map[string]string, error) {
	all := map[string]string{}
	for _, name := range l.EnvFile {
		text, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
		if err := parseEnv(string(text), all); err != nil {
			return nil, fmt.Errorf("--env-file %s: %w", name, err)
		}
	}
	maps.Copy(all, l.Env)
	return all, nil
}

// readEnvFile reads a file that the user has named.
func readEnvFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxEnvFile {
		return nil, fmt.Errorf("%s has more than %s", name, bytesText(maxEnvFile))
	}
	return os.ReadFile(name)
}

// parseEnv reads lines NAME=VALUE into variables. As shells and python-dotenv have
// it, "export " may precede a name, a # begins a comment at the start of a line or
// after a space, and a value may be quoted, and then have several lines: as it is
// between ”, with \n, \t, \r, \", \\ and \$ between "". Nothing is substituted for $NAME:
// the platform does not either (contract §6.8), and secrets have such signs in them.
func parseEnv(text string, variables map[string]string) error {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n") // Windows editors write both
	for line := 1; text != ""; {
		start, rest, _ := strings.Cut(text, "\n")
		if trimmed := strings.TrimSpace(start); trimmed == "" || trimmed[0] == '#' {
			text = rest
			line++
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok || len(name) > len(start) {
			return fmt.Errorf("line %d: write NAME=VALUE", line)
		}
		name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))
		value = strings.TrimLeft(value, " \t")
		parsed, rest, err := envValue(value)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", line, name, err)
		}
		line += strings.Count(text[:len(text)-len(rest)], "\n")
		variables[name], text = parsed, rest
	}
	return nil
}

// envValue returns the value that text begins with, and what comes after its line.
func envValue(text string) (value, rest string, err error) {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		value, rest, _ = strings.Cut(text, "\n")
		if i := strings.Index(value, " #"); i >= 0 {
			value = value[:i]
		}
		if strings.HasPrefix(value, "#") {
			value = ""
		}
		return strings.TrimSpace(value), rest, nil
	}
	quote := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			after, rest, _ := strings.Cut(text[i+1:], "\n")
			if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
				return "", "", fmt.Errorf("after the closing %c there is %.40q", quote, after)
			}
			return b.String(), rest, nil
		case c == '\\' && quote == '"' && i+1 < len(text) && strings.IndexByte(envEscapes, text[i+1]) >= 0:
			i++
			b.WriteByte(envEscaped[strings.IndexByte(envEscapes, text[i])])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("the closing quote is missing")
}

// What may follow a backslash between "", and what it then stands for.
const envEscapes, envEscaped = `ntr"\$`, "\n\t\r\"\\$"
