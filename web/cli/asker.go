package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"vivarium/host/egress"
)

// asker lets somebody at a terminal decide what functions may reach besides what is
// allowed from the start. Safe for concurrent use.
type asker struct {
	policy atomic.Pointer[egress.Policy]
	out    io.Writer

	mu      sync.Mutex // one question at a time; guards the members below
	asked   map[string]bool
	answers chan string // lines that are typed; closed when there will be none
	in      io.Reader
}

// mostQuestions bounds what a function can make a terminal ask in a session.
const mostQuestions = 32

func newAsker(policy *egress.Policy, in io.Reader, out io.Writer) *asker {
	a := &asker{in: in, out: out, asked: map[string]bool{}}
	a.policy.Store(policy)
	return a
}

// guard returns a guard that allows what the asker does.
func (a *asker) guard() *egress.Guard {
	return egress.NewGuard().BoundBy(a.policy.Load, "it is not allowed in this session")
}

// allow asks whether a function may reach what a rule says, and reports the answer. It
// asks once for each of both, and blocks until there is an answer or ctx ends.
func (a *asker) allow(ctx context.Context, rule, who string) bool {
	if _, err := egress.ParsePolicy(rule); err != nil || rule == "" || strings.ContainsAny(rule, ", ") {
		return false // no refusal has such a rule: who asks has been taken over
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked[who+" "+rule] || len(a.asked) >= mostQuestions {
		return false
	}
	a.asked[who+" "+rule] = true
	if a.answers == nil {
		a.answers = make(chan string, 1)
		go a.read() // until the program ends: a read of a terminal can't be interrupted
	}
	select {
	case <-a.answers: // typed before the question
	default:
	}
	fmt.Fprintf(plain{exact(a.out)}, "vivarium: %.64s wants %s; allow for this session? [y/N] ", who, rule)
	select {
	case line := <-a.answers:
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			fmt.Fprintf(a.out, "vivarium: not allowed; to allow it from the start: --allow-net=%s\n", rule)
			return false
		}
	case <-ctx.Done():
		return false
	}
	widened, err := egress.ParsePolicy(joinRules(a.policy.Load().String(), rule))
	if err != nil {
		return false
	}
	a.policy.Store(widened)
	return true
}

// read passes on what is typed, a line at most before allow takes it.
func (a *asker) read() {
	defer close(a.answers)
	for lines := bufio.NewScanner(a.in); lines.Scan(); {
		select {
		case a.answers <- lines.Text():
		default:
		}
	}
}

// joinRules joins the rules of two texts, either of which may be empty.
func joinRules(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}
