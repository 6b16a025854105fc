package expr_test

// filters are expressions that say much of the events they are true of.
var filters = []string{
	`evt.Meta.log_type in ['a', 'b'] and Upper(evt.Meta.path) contains Upper('/autodiscover/')`, `Upper(evt.Meta.path) contains 'ABCD' || Lower(evt.Meta.file) == 'efgh'`,
	`Upper(PathUnescape(evt.Meta.path)) contains 'EXEC(' or Upper(PathUnescape(evt.Meta.path)) contains 'SCRIPT:'`, `evt.Parsed.program startsWith 'nginx'`, `Upper(evt.Parsed.program) == 'NAMED' && evt.SetMeta('a', 'b')`,
	`let request = Lower(evt.Parsed.request); evt.Meta.status in ['404', '403'] && (request matches '/php/.*/x[.]js' || request contains '/index.php')`, `evt.Meta.path matches '/ui/vcav(boot|strap)+/rest\\?url=(file|http)'`,
	`if (evt.Meta.service == 'http' and evt.Meta.status in ['404', '403']) { evt.SetMeta('x', 'y') } else { false }`, `(evt.Meta.t == 'execve' && evt.Meta.u == '0') || (evt.Meta.t == 'abend' && evt.Meta.s in ['4', '5'])`,
	`evt.Meta.file contains 'w00tw00t' or Lower(evt.Meta.path) == '/core/skin/login.aspx'`, `evt.Meta.a == 'x' && Boom(evt.Meta.path) && evt.Meta.path contains 'abcdef'`, `not (evt.Meta.path contains 'abcd')`, `evt.Meta.path in ['abcd', 'efgh'] || evt.Meta.file in ['abcd']`,
	`evt.Meta.path contains 'abcd' ? evt.SetMeta('x', 'y') : false`, `evt.Meta.path contains 'abcd' ? false : true`, `evt.Line.Raw contains 'abcd' && UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'x') in ['', nil]`, `evt.Meta.x startsWith 'abcd' && evt.Meta.x endsWith 'efgh'`,
	`evt.Meta.path matches '(?i)abcd'`, `evt.Meta.path matches '^(abcd|efgh)?$'`, `evt.Meta.path matches 'abcd|x*'`, `evt.Unmarshaled.x == 'a' && evt.Meta.path contains 'abcd'`, `let x = evt.Unmarshaled.a.b; evt.Meta.path contains 'abcd'`, `let x = Lower(evt.Meta.y); Upper(x) contains 'ABCD'`,
}
