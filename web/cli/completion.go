package cli

import (
	"fmt"
	"slices"
	"strings"

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

// complete returns completions of the last of words: commands, or flags of the
// commands before it.
func complete(model *kong.Application, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	node, last := model.Node, words[len(words)-1]
	for _, word := range words[:len(words)-1] {
		for _, child := range node.Children {
			if child.Type == kong.CommandNode && child.Name == word {
				node = child
				break
			}
		}
	}
	var found []string
	if strings.HasPrefix(last, "-") {
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				found = append(found, "--"+flag.Name)
			}
		}
	} else {
		for _, child := range node.Children {
			if child.Type == kong.CommandNode && !child.Hidden {
				found = append(found, child.Name)
			}
		}
	}
	found = slices.DeleteFunc(found, func(word string) bool { return !strings.HasPrefix(word, last) })
	slices.Sort(found)
	return slices.Compact(found)
}
