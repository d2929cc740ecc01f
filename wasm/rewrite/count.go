package rewrite

// minBudget is the smallest budget. The head of a loop counts again when it
// comes back from yielding, so with less no iteration would ever begin.
const minBudget = 2

// decrement subtracts one from the countdown.
func (p *plan) decrement() asm {
	return asm{}.with(opGlobalGet, p.countdown).i32(1).op(opI32Sub).with(opGlobalSet, p.countdown)
}

// guard begins a new budget when the countdown is used up. The common case is
// the first branch: the compiler then starts the code that follows with the
// registers as that branch left them, not as the call did.
func (p *plan) guard() asm {
	return asm{}.
		with(opGlobalGet, p.countdown).i32(0).op(opI32GtS).
		branch(opIf).op(opElse).call(p.helper(helperTick)).op(opEnd)
}

// wraps reports whether each loop gets a loop around it.
func (p *plan) wraps() bool { return p.o.Omit&OmitLoops == 0 }

// loopHead appends the head of a loop: an outer loop, whose head yields when it
// has to, then the loop itself, which counts and goes back to the outer one
// when the budget is used up.
func (p *plan) loopHead(out, head []byte, e edit) []byte {
	a := append(asm(out), head...)
	if !p.wraps() {
		return a
	}
	a = append(append(append(a, p.look...), head...), p.take...)
	a = a.with(opGlobalGet, p.countdown).i32(0)
	if e.carries { // its operands can't be reached from inside an if
		return a.op(opI32LeS).with(opBrIf, 1)
	}
	return a.op(opI32GtS).branch(opIf).op(opElse).with(opBr, 2).op(opEnd)
}
