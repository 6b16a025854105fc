package exprlib

import (
	"gabion/userspace/expr"
	"gabion/userspace/ruledoc"
)

// LoadDeclared loads the data files that a rule declares, for the helpers that look into them. What
// is wrong with them is logged: the rule runs without.
func (l *Lib) LoadDeclared(files []ruledoc.DataFile) { l.data.LoadDeclared(files) }

func (l *Lib) dataFunctions() []expr.Function {
	return []expr.Function{
		l.withLines(sure1("File", l.file)),
		sure2("RegexpInFile", l.regexpInFile),
		sure1("FileMap", l.fileMap),
		sure2("LookupFile", l.lookupFile),
	}
}

func (l *Lib) file(name string) []string {
	lines, ok := l.data.Lines(name)
	l.unknownUnless(ok, "File", name)
	return lines
}

func (l *Lib) regexpInFile(text, name string) bool {
	match, ok := l.data.Matches(text, name)
	l.unknownUnless(ok, "RegexpInFile", name)
	return match
}

func (l *Lib) fileMap(name string) []map[string]string {
	rows, ok := l.data.Rows(name)
	l.unknownUnless(ok, "FileMap", name)
	if !ok {
		return []map[string]string{}
	}
	return rows
}

func (l *Lib) lookupFile(text, name string) string {
	tag, ok := l.data.LookUp(text, name)
	l.unknownUnless(ok, "LookupFile", name)
	return tag
}

func (l *Lib) unknownUnless(ok bool, helper, name string) {
	if !ok && l.warned.first(helper+" "+name) {
		l.deps.Log.Warn("data file not loaded", "helper", helper, "file", name)
	}
}
