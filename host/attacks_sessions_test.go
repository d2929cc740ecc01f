package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// TestSessionAttacks makes the attacks of TestAttacks in sessions: what there is a
// function is here a snippet that calls it. Each must end as it does there, except
// where a session is another thing than a function; a neighbour must go on answering, the
// platform must not fail, and nothing may be left.
func TestSessionAttacks(t *testing.T) {
	makeAttacks(t, 1, (*attackRange).runInSession) // others than TestAttacks makes
}

// sessionHeap is by how much more than for a function the host's heap may grow, in bytes.
const sessionHeap = 16 << 20

// attacker is who has the sessions of attacks.
var attacker = access.Principal{KeyID: "key", Tenant: "attacker", Role: access.RoleDeployer}

// runInSession makes an attack in a session and looks at what it did.
func (r *attackRange) runInSession(t *testing.T, a *attack) {
	r.t = t
	environment := maps.Clone(r.world)
	maps.Copy(environment, a.spec.Environment)
	s, err := r.Sessions().Create(t.Context(), attacker, run.SessionSpec{
		MemoryMB: a.spec.MemoryMB, Timeout: a.spec.Timeout, AllowNet: r.world.in(a.spec.AllowNet), Environment: environment,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	var failure error
	said := ""
	ended := false
	took, grown := r.watch(t, a.heap, func() {
		for range a.calls {
			if ended { // a function would have another instance
				break
			}
			got, failure, ended = r.attackInSession(t, s.ID, a, a.event, &said)
		}
	})
	if !slices.Contains(otherwiseInSessions, a.name) && !(ended && a.calls > 1) {
		a.judge(t, got, failure)
	}
	if strings.Contains(said+got+fmt.Sprint(failure), r.secret) {
		t.Error("the attack has learnt the neighbour's secret")
	}
	checkUse(t, a, took, grown, a.heap+sessionHeap)
	if !ended { // it may have harmed itself
		_, _, ended = r.attackInSession(t, s.ID, a, `"well"`, &said)
	}
	if err := r.Sessions().End(attacker, s.ID); (err == nil) == ended {
		t.Errorf("the session has ended: %v; its end: %v", ended, err)
	}
	r.askNeighbour(t)
	r.checkDrained(t)
	if t.Failed() {
		t.Logf("promise: %s\ntook %v, heap %d MiB, said %.2000q", a.promise, took, grown>>20, said)
	}
}

// attackInSession calls an attack's handler once.
func (r *attackRange) attackInSession(
	t *testing.T, id string, a *attack, event string, said *string,
) (answer string, failure error, ended bool) {
	t.Helper()
	snippet := run.Snippet{RequestID: "attack", Files: map[string][]byte{}, Code: fmt.Sprintf(`
import inspect, json, main
class Answer:
    def __init__(self, value): self.text = json.dumps(value)
    def _repr_html_(self): return self.text
value = main.handler(json.loads(%q), None)
Answer(await value if inspect.isawaitable(value) else value)`, event)}
	for name, file := range a.code {
		snippet.Files[name] = file.Data
	}
	result, err := r.Sessions().Run(t.Context(), attacker, id, snippet)
	if err != nil {
		if k := fault.Of(err); k != fault.Invalid && k != fault.OverQuota { // it may have filled its folder
			t.Errorf("the attack made the platform fail: %v", err)
		}
		return "", &fault.FunctionError{Type: "Refused", Message: err.Error()}, false
	}
	defer result.Release()
	for _, o := range result.Output {
		*said += o.Text
	}
	for _, d := range result.Displays {
		_ = json.Unmarshal(d.Data["text/html"], &answer) // nothing, if it has forged something else
	}
	if result.Error != nil {
		failure = result.Error
		*said += result.Traceback
	}
	return answer, failure, result.Outcome == run.SnippetEnded
}

// otherwiseInSessions are the attacks whose outcome is another one in a session. All else
// that is to be looked at holds for them, too.
var otherwiseInSessions = []string{
	// Their own files are in /tmp, where they can be changed, and which holds 64 MiB.
	"a-neighbour-s-files-are-not-there", "deleted-open-files-count", "files-left-open-are-closed-with-the-instance",
	"folders-as-handles-lead-only-down", "hard-links-of-the-code-can-not-be-made", "links-that-change-underfoot-lead-nowhere",
	"making-and-deleting-names-leaves-nothing", "names-with-nul-are-refused", "odd-flags-of-open-lead-nowhere",
	"pth-and-site-files-are-not-run", "renames-do-not-leave-the-folder", "sparse-files-count-their-pages",
	"symbolic-links-lead-to-nothing-else", "the-code-can-not-be-changed", "the-host-s-own-folders-are-not-there",
	"tmp-is-bounded-in-bytes", "tmp-keeps-its-word", "tmp-starts-empty-on-each-instance",
	// There is no context, and events and results have other bounds.
	"a-forged-error-of-megabytes-is-refused", "a-large-event-is-the-call-s-own-work", "an-answer-of-many-megabytes-is-not-copied",
	"an-answer-over-the-limit-is-refused", "an-error-report-of-a-million-frames-is-not-read", "an-event-of-deep-nesting-is-answered",
	"another-function-can-not-be-named", "the-context-of-a-call-can-not-be-forged", "a-poll-of-many-descriptors-is-answered",
	// They forge answers of the runtime, or what it is made of.
	"a-forged-response-is-the-function-s-own-answer", "a-patched-library-is-the-version-s-own", "changed-constants-stay-in-the-instance",
	"the-counters-of-loops-can-not-be-reached",
	// The next call is a snippet of the same session, and finds what the first has left.
	"an-audit-hook-that-raises-does-not-stop-the-platform", "import-hooks-that-raise-do-not-stop-the-platform",
	// They expect less of Python's library, or of the environment of these tests, than there is.
	"machine-code-can-not-be-called", "no-foreign-functions", "special-files-can-not-be-made", "the-server-s-environment-is-not-visible",
}
