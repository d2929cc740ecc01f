// The flags of floating-point exceptions. WebAssembly's instructions raise none, and so
// the C library's functions do nothing; but numpy raises some itself, such as for a
// division of integers by zero.
static int raised;

int feclearexcept(int flags) {
  raised &= ~flags;
  return 0;
}

int feraiseexcept(int flags) {
  raised |= flags;
  return 0;
}

int fetestexcept(int flags) { return raised & flags; }
