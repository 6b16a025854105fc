package inputs

import "errors"

// Moving returns a question that fails when batches waited in the engine when it was asked
// before, and none of any was finished since.
func Moving(list []*Input) func() error {
	var before uint64
	waited := false
	return func() error {
		var emitted, done uint64
		for _, in := range list {
			done += in.done.Load()
			emitted += in.emitted.Load()
		}
		stuck := waited && done == before
		waited, before = emitted > done, done
		if stuck {
			return errors.New("the engine has finished no batch since the last sign of life")
		}
		return nil
	}
}
