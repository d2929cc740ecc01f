//go:build !linux

package cli

// confineProcess does nothing: the measures need Linux.
func confineProcess(reach) (*confinement, error) {
	c := unconfined("only available on Linux")
	c.missing = []string{"not confined: only on Linux does the program give up rights it does not need"}
	return c, nil
}

// confineBroker does nothing either.
func confineBroker() error { return nil }
