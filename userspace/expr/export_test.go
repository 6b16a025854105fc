package expr

// Interpret runs an expression in the virtual machine, also one that is compiled.
func (p *Program) Interpret(v *Vars) (any, error) { return p.interpret(v) }
