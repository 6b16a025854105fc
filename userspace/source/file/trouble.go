package file

import "log/slog"

const permissionAdvice = "log file may not be read; give the daemon the right to, for example by its group (adm on Debian)"

// troubles says once what is wrong with a file, and once that it is well again.
type troubles struct {
	log   *slog.Logger
	known map[string]string // path or pattern -> what is wrong
}

// report logs a message unless the same trouble has been reported and not gone since.
func (t troubles) report(subject, message, what string) {
	if t.known[subject] == what {
		return
	}
	t.known[subject] = what
	t.log.Warn(message, "path", subject, "err", what)
}

// clear says that a subject is well again, if it was in trouble.
func (t troubles) clear(subject string) {
	if _, ok := t.known[subject]; ok {
		delete(t.known, subject)
		t.log.Info("log file is read again", "path", subject)
	}
}

// keep forgets the subjects that there are no more.
func (t troubles) keep(subjects map[string]bool) {
	for subject := range t.known {
		if !subjects[subject] {
			delete(t.known, subject)
		}
	}
}
