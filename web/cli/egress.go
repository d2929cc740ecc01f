package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/alecthomas/kong"

	"vivarium/host/egress"
)

// netRules is the value of --allow-net=RULES. --allow-net alone means the public
// internet; what follows it is an argument, as in "run --allow-net main.py".
type netRules string

// Decode implements kong.MapperValue.
func (r *netRules) Decode(ctx *kong.DecodeContext) error {
	text := egress.Public
	switch next := ctx.Scan.Peek(); {
	case next.Type == kong.FlagValueToken:
		text = ctx.Scan.Pop().String()
	case next.IsValue() && maybeRules(next.String()):
		return fmt.Errorf("write --allow-net=%[1]s if %[1]q is a rule; if not, put --allow-net after it", next)
	}
	if _, err := egress.ParsePolicy(text); err != nil {
		return err
	}
	if *r != "" {
		text = string(*r) + "," + text
	}
	*r = netRules(text)
	return nil
}

// maybeRules reports whether an argument could be meant as rules: it names no file.
func maybeRules(text string) bool {
	_, err := egress.ParsePolicy(text)
	_, missing := os.Stat(text)
	return err == nil && missing != nil && !strings.HasPrefix(text, "-")
}

// policy returns the rules as a policy.
func (r netRules) policy() *egress.Policy {
	p, err := egress.ParsePolicy(string(r))
	if err != nil {
		panic(err) // Decode has validated them
	}
	return p
}

// brokerCommand connects on behalf of a process that gives up the right to: it
// is started before that, allows what its argument says, and passes descriptors
// over brokerFD.
const brokerCommand = "__connect"

// brokerFD is the descriptor over which the broker is asked.
const brokerFD = 3

// runBroker runs brokerCommand.
func runBroker(ctx context.Context, s *session, args []string) int {
	if len(args) == 0 || len(args) > 2 {
		return ExitFailure
	}
	policy, err := egress.ParsePolicy(args[0])
	if err == nil {
		asker := newAsker(policy, s.stdin, s.stderr)
		allow := asker.allow
		if len(args) == 1 || args[1] != askArgument {
			allow = nil
		}
		if s.ownsProcess {
			err = confineBroker()
		}
		if err == nil {
			err = egress.ServeBroker(ctx, os.NewFile(brokerFD, "broker"), asker.guard(), allow)
		}
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "vivarium:", indented(err.Error()))
		return ExitFailure
	}
	return ExitOK
}

// askArgument lets the broker ask at the terminal for what policy does not allow. It asks
// by itself: whoever has taken over the process that runs functions can't answer.
const askArgument = "ask"

// startBroker starts the process that connects, within policy, and what is allowed to it
// at the terminal if asks. Closing the Broker ends it.
func startBroker(s *session, policy *egress.Policy, asks bool) (*egress.Broker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	questions, answers, err := egress.BrokerPair()
	if err != nil {
		return nil, err
	}
	defer answers.Close()
	command := exec.Command(self, brokerCommand, policy.String())
	if asks {
		command.Args = append(command.Args, askArgument)
		command.Stdin = s.stdin
	}
	command.Stderr = exact(s.stderr)
	command.ExtraFiles = []*os.File{answers} // becomes brokerFD
	if err := command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("broker: %w", err), questions.Close())
	}
	go func() { _ = command.Wait() }() // whoever asks it notices its end
	return egress.NewBroker(questions)
}
