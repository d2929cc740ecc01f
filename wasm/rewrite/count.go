package rewrite

// guard begins a new budget when the countdown is used up. What is nearly always done stands in the first branch: the
// compiler lets the code that follows begin with the registers as that branch left them, and not as the call did.
func (p *plan) guard() asm {
	return asm{}.
		with(opGlobalGet, p.countdown).i32(0).op(opI32GtS).
		branch(opIf).op(opElse).call(p.helper(helperTick)).op(opEnd)
}

// decrement takes one off the countdown.
func (p *plan) decrement() asm {
	return asm{}.with(opGlobalGet, p.countdown).i32(1).op(opI32Sub).with(opGlobalSet, p.countdown)
}

// counting is how a loop counts.
type counting uint8

const (
	uncounted counting = iota
	counted            // every iteration takes one off the countdown
	strided            // every few iterations take one off the countdown, a local variable counts them
)

const (
	maxStride = 16
	// strideBytes bounds how much code runs uncounted: the longer a loop, the shorter its stride.
	strideBytes = 1024
)

// stride is how many iterations of a loop of so many bytes count as one.
func stride(size uint32) uint32 { return min(maxStride, strideBytes/size) }

func (p *plan) how(e edit) counting {
	switch {
	case !p.wraps():
		return uncounted
	case p.o.Omit&OmitStrides == 0 && e.loop&(loopCalls|loopInner) == 0 && stride(e.ref) > 1:
		return strided
	default:
		return counted
	}
}

// wraps tells if there is a loop around each loop.
func (p *plan) wraps() bool { return p.o.Omit&OmitLoops == 0 }

// loopHead writes the head of a loop: the loop around it, what that does, then the loop itself, which counts and goes
// back to the one around it when it has to yield.
func (p *plan) loopHead(out, head []byte, e edit, scratch uint32) []byte {
	a := append(asm(out), head...)
	switch p.how(e) {
	case uncounted:
		return a
	case counted:
		a = append(append(a, p.look...), head...)
		a = append(a, p.take...).with(opGlobalGet, p.countdown).i32(0).op(opI32GtS)
	case strided:
		p.stats.Strided++
		a = append(a, p.count...).i32(int32(stride(e.ref))).set(scratch)
		a = append(a, head...).get(scratch).i32(1).op(opI32Sub).tee(scratch)
	}
	if e.loop&loopCarries != 0 { // its operands can't be reached from within an if
		return a.op(opI32Eqz).with(opBrIf, 1)
	}
	return a.branch(opIf).op(opElse).with(opBr, 2).op(opEnd)
}
