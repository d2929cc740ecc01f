package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// completionCommand implements `vivarium completion`.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by `vivarium completion --help`.
func (*completionCommand) Help() string {
	return `Load it once:
  source <(vivarium completion bash)             in ~/.bashrc
  source <(vivarium completion zsh)              in ~/.zshrc, after compinit
  vivarium completion fish | source              in ~/.config/fish/config.fish`
}

// completeCommand is the first argument with which the scripts ask for
// completions. The words of the line up to the cursor follow it.
const completeCommand = "__complete"

// Where there is nothing to complete, the scripts let the shell complete file
// names.
var completionScripts = map[string]string{
	"bash": `_vivarium() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _vivarium vivarium
`,
	"zsh": `_vivarium() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _vivarium vivarium
`,
	"fish": `function __vivarium_complete
  set -l words (commandline -opc) (commandline -ct)
  vivarium __complete $words[2..-1] 2>/dev/null
end
complete -c vivarium -a '(__vivarium_complete)'
`,
}

// Run implements the command.
func (c *completionCommand) Run(s *session) error {
	_, err := fmt.Fprint(s.stdout, completionScripts[c.Shell])
	return err
}

// completionPatience is how long completing a word may ask a server.
const completionPatience = time.Second

// complete returns completions of the last of words: commands, flags of the commands
// before it, or what they are about.
func complete(ctx context.Context, model *kong.Application, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	node, flag, given := lineBefore(model.Node, words[:len(words)-1])
	var found []string
	switch {
	case flag != nil:
		found = namesOf(ctx, flag.Name, given, last)
	case strings.HasPrefix(last, "-"):
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				found = append(found, "--"+flag.Name)
			}
		}
	default:
		for _, child := range node.Children {
			if child.Type == kong.CommandNode && !child.Hidden {
				found = append(found, child.Name)
			}
		}
		if len(given) < len(node.Positional) {
			what := node.Positional[len(given)].Name
			if what == "name" && node.Name == "deploy" {
				what = "function"
			}
			found = append(found, namesOf(ctx, what, given, last)...)
		}
	}
	found = slices.DeleteFunc(found, func(word string) bool { return !strings.HasPrefix(word, last) })
	slices.Sort(found)
	return slices.Compact(found)
}

// lineBefore reads the words before the one to be completed: the command that they
// are, the flag whose value comes next, if one does, and the command's arguments.
func lineBefore(node *kong.Node, words []string) (command *kong.Node, flag *kong.Flag, given []string) {
	for _, word := range words {
		if flag != nil { // this is its value
			flag = nil
			continue
		}
		if strings.HasPrefix(word, "-") {
			for _, group := range node.AllFlags(true) {
				for _, f := range group {
					if (word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)) && !f.IsBool() {
						flag = f
					}
				}
			}
			continue
		}
		i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Type == kong.CommandNode && c.Name == word })
		if i >= 0 && len(given) == 0 {
			node = node.Children[i]
		} else {
			given = append(given, word)
		}
	}
	return node, flag, given
}

// namesOf returns the names that there are of something: what a flag or an argument is
// called. Those of a server are the server's that the environment names; where it
// can't be asked there are none.
func namesOf(ctx context.Context, what string, given []string, last string) (names []string) {
	if what == "event-sample" {
		return strings.Split(sampleNames(), ", ")
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	var a address
	a.Server, a.APIKey = cmp.Or(os.Getenv("VIVARIUM_SERVER"), defaultServer), os.Getenv("VIVARIUM_API_KEY")
	client, err := a.connect()
	if err != nil {
		return nil
	}
	client.tenant = os.Getenv("VIVARIUM_TENANT")
	function, _, tagged := strings.Cut(last, "@")
	switch {
	case what == "function", what == "version" && !tagged:
		functions, _ := client.functions(ctx)
		for _, f := range functions {
			names = append(names, f.Name)
		}
		return names
	case what == "version":
	case what == "tag" && len(given) > 0:
		function, _, _ = strings.Cut(given[0], "@")
	default:
		return nil
	}
	versions, _ := client.versions(ctx, function)
	for _, v := range versions {
		for _, tag := range v.Tags {
			if what == "version" {
				tag = function + "@" + tag
			}
			names = append(names, tag)
		}
	}
	return names
}
