package expr_test

// expressions is what closures are compared with the virtual machine on: every construct that is
// compiled, in the ways in which it can succeed and fail.
var expressions = []string{
	// Fields.
	`evt.Meta.log_type == 'a'`, `evt.Meta.log_type != 'a'`, `'a' == evt.Parsed.program`, `evt.Meta['log_type'] == evt.Parsed.x`, `evt.Enriched.IsoCode`,
	`evt.Meta[evt.Parsed.name]`, `evt.Meta[Lower(evt.Parsed.name)] == ''`, `'log_type' in evt.Meta`, `evt.Parsed.name in evt.Meta`, `len(evt.Meta) > 2`, `not ('x' in evt.Parsed)`,
	`evt.Meta.service in ['a', 'b']`, `evt.Meta.service not in ['a', 'b', 'c', 'd', 'e', 'x']`, `evt.Meta.service in []`, `evt.Parsed.status in ['401', 403, true]`,
	`evt.Meta.x in File('none.txt')`, `evt.Meta.x in evt.Unmarshaled.list`, `evt.Meta.x in evt.Unmarshaled`, `evt.Meta.x in Split(evt.Parsed.list, ',')`,
	// Members of the event.
	`evt.Stage == 'x' && !evt.Whitelisted`, `evt.Line.Raw contains evt.Line.Src`, `evt.Line.Labels.type == 'a'`, `evt.Line.Module in ['file', 'x']`, `evt.Line.Labels['none'] == ''`,
	`evt.Type == 0`, `evt.ExpectMode + 1`, `evt.Process ? evt.StrTime : evt.MarshaledTime`, `evt.StrTimeFormat + evt.WhitelistReason`, `evt.Line.Process`, `evt.Line.Time`,
	`evt.Time.Hour() < 14`, `evt.Time.Weekday().String() == 'Sunday'`, `evt.Time.Weekday().String() in ['Saturday', 'Sunday']`, `evt.Time.Unix() > 5`, `evt.Time.Month().String()`,
	`evt.Time.Format('2006') == '2001'`, `evt.Time.Minute() + evt.Time.Second()`, `evt.Time.After(evt.Line.Time)`, `evt.Time - duration('1h') < evt.Time`, `evt.Time.Year() == 2001`,
	`evt.GetType() + evt.GetMeta('log_type')`, `evt.GetMeta(evt.Parsed.x) == ''`, `len(evt.ParseIPSources()) == 0`,
	`evt.SetMeta('seen', 'yes') && evt.Meta.seen == 'yes'`, `evt.SetParsed('a', evt.Parsed.b) || evt.SetMeta('a', 'b')`, `evt.Parsed.x == '' && evt.SetMeta(evt.Parsed.y, evt.Parsed.x + 'z')`,
	// Values of unknown type.
	`evt.Unmarshaled.a == 'x'`, `evt.Unmarshaled.a.b == 1`, `evt.Unmarshaled.a.b.c in ['x', nil, 7]`, `evt.Unmarshaled.a == nil`, `nil == evt.Unmarshaled.a`, `evt.Unmarshaled.a != nil && evt.Unmarshaled.a.b`,
	`evt.Unmarshaled.a?.b`, `evt.Unmarshaled.a?.b.c ?? 'none'`, `evt.Unmarshaled.a?.b?.c ?? evt.Meta.x`, `evt.Unmarshaled?.a?.b == nil`, `(evt.Unmarshaled.a?.b).c`, `evt.Unmarshaled.a?.[0]`,
	`evt.Unmarshaled.list[0]`, `evt.Unmarshaled.list[-1].key`, `evt.Unmarshaled.list[evt.Unmarshaled.i]`, `evt.Unmarshaled['a-b']['c']`, `evt.Unmarshaled[evt.Parsed.key]`, `evt.Unmarshaled.a[evt.Parsed.key]`,
	`evt.Unmarshaled.n + 1`, `evt.Unmarshaled.n > 5`, `5 <= evt.Unmarshaled.n`, `-evt.Unmarshaled.n`, `+evt.Unmarshaled.n`, `not evt.Unmarshaled.flag`, `evt.Unmarshaled.flag && evt.Unmarshaled.other`,
	`evt.Unmarshaled.flag || evt.Stage == ''`, `evt.Unmarshaled.flag ? 'yes' : 'no'`, `evt.Unmarshaled.flag and evt.Meta.x == 'x' and evt.Unmarshaled.n`, `(evt.Meta.x == '' or evt.Unmarshaled.flag) and evt.Stage == 'x'`,
	`evt.Unmarshaled.s contains 'a'`, `evt.Unmarshaled.s startsWith evt.Meta.x`, `'abc' endsWith evt.Unmarshaled.s`, `evt.Unmarshaled.s matches '^a'`, `evt.Unmarshaled.s in ['a', 'b']`, `evt.Unmarshaled.s in [1, 2]`,
	`int(evt.Unmarshaled.n)`, `float(evt.Unmarshaled.n) < 8.0`, `string(evt.Unmarshaled.n)`, `len(evt.Unmarshaled.list)`, `lower(evt.Unmarshaled.s)`, `trimSuffix(evt.Unmarshaled.s ?? '', ',')`, `get(evt.Unmarshaled.a, 'b')`,
	`get(evt.Unmarshaled.list, 0) != nil ? evt.Unmarshaled.list[0] : nil`, `evt.Unmarshaled.x == evt.Unmarshaled.y`, `evt.Unmarshaled.x ?? evt.Unmarshaled.y ?? 1`, `evt.Unmarshaled.a in evt.Unmarshaled.b`,
	`len(evt.Unmarshaled) == 0`, `evt.Unmarshaled == nil`, `evt.Unmarshaled`, `evt.Unmarshaled.s[0:2]`, `evt.Unmarshaled.list[1:]`, `evt.Unmarshaled.s == evt.Meta.x`, `evt.Unmarshaled.n - evt.Unmarshaled.m`,
	// Texts, numbers and bools.
	`'a' + evt.Meta.x + '/' + evt.Parsed.y + ' ' + evt.Enriched.z`, `evt.Meta.x + (evt.Meta.y + 'z')`, `evt.Parsed.x[0:2]`, `evt.Parsed.x[-4:]`, `evt.Parsed.x[:len(evt.Parsed.y)]`, `evt.Parsed.x[5:2] == ''`,
	`evt.Meta.x < evt.Meta.y`, `evt.Meta.x >= 'm'`, `evt.Type < 1.5`, `1.5 > evt.Type`, `evt.Type / 2`, `evt.Type % 2`, `5 % evt.Type`, `2 ** evt.Type`, `evt.Type - 1 == -1`, `evt.Type * 3 != 3`, `1.5 + evt.Type`, `-evt.Type`,
	`evt.Meta.x matches '^[a-z]+$'`, `evt.Meta.x startsWith 'a' or evt.Meta.x endsWith 'x'`, `evt.Meta.x contains evt.Meta.y`, `evt.Meta.x == nil`, `evt.Meta.x != nil`, `evt.Meta.x ?? 'y'`, `true`, `'text'`, `3`, `nil`, `2.5`,
	`evt.Meta.x == '' ? 1 : 'b'`, `evt.Meta.x == 'a' ? 'b' : evt.Meta.x == 'c' ? 'd' : 'e'`, `if evt.Stage == 'x' { 'a' } else { 'b' }`, `!(evt.Meta.a == '' && evt.Meta.b == '') || evt.Meta.c == 'x'`, `evt.Whitelisted == true`,
	`let x = evt.Stage; x == '' ? 'none' : x`, `let p = Split(evt.Meta.x, ','); p[0] + p[-1]`, `let n = len(evt.Meta.x); n > 2 && n < 9`, `let a = evt.Unmarshaled.a; let b = 'c'; a == b`, `let f = evt.Whitelisted; f || not f`,
	`[evt.Meta.a, evt.Meta.b]`, `[1, 2, evt.Type][0]`, `{Jan: '01', Feb: '02'}[evt.Meta.month]`, `{a: evt.Meta.a, b: 1}`, `{a: 1}.a`, `[1, 'a', nil]`, `len([1, 2]) == 2`, `1 in 1..3`, `evt.Type in 1..3`, `len(1..evt.Type + 3)`,
	`evt.Meta.x matches Upper('^a')`, `evt.Meta.x matches evt.Meta.y`, `evt.Unmarshaled.s matches evt.Unmarshaled.t`, `evt.Stage matches Lower('(?P<a>[')`,
	`let q = filter(queue.Queue, .Meta.x == 'x'); len(q) > 1 && q[-1].Meta.y == 'y'`, `let q = queue.Queue; any(q, .Meta.x == 'x')`,
	// Lines of data files.
	`any(File('words.txt'), {Upper(evt.Meta.x) contains Upper(#)})`, `any(File('words.txt'), {evt.Meta.x + 'x/y' contains #})`, `any(File('words.txt'), {evt.Meta.x contains #})`, `any(File('words.txt'), {lower(evt.Meta.x) endsWith #})`,
	`any(File('words.txt'), {evt.Meta.x startsWith #})`, `any(File('words.txt'), {evt.Meta.x == #})`, `any(File('words.txt'), {# == evt.Meta.x})`, `any(File('words.txt'), {Lower(#) == 'x'})`, `any(File('words.txt'), {# contains evt.Meta.x})`,
	`any(File('rows.json'), {evt.Meta.x contains JsonExtract(#, 'uri') ? evt.SetMeta('cve', JsonExtract(#, 'cve')) : false})`, `any(File('rows.json'), {evt.Meta.x contains JsonExtract(#, 'uri') ? 'x' : false})`,
	`any(File('words.txt'), {evt.Meta.x contains # ? evt.Unmarshaled.a.b : false})`, `any(File('words.txt'), {evt.Meta.x == # ? true : evt.SetMeta('y', #)})`, `any(File('words.txt'), {evt.Meta.x contains B64Decode(#)})`,
	`any(File('words.txt'), {evt.Unmarshaled.s contains #})`, `any(File('words.txt'), {Split(evt.Meta.x, ',')[2] == #})`, `any(File('none.txt'), {Split(evt.Meta.x, ',')[2] == #})`, `any(File('words.txt'), {evt.SetMeta('y', 'x') && evt.Meta.y == #})`,
	`any(File('words.txt'), {let t = evt.Meta.x; t == #})`, `let t = Upper(evt.Meta.x); any(File('words.txt'), {t == Upper(#)})`, `any(File(evt.Meta.x), {evt.Meta.x == #})`, `none(File('words.txt'), {evt.Meta.x contains #})`,
	`any(File('words.txt'), {evt.Meta.x contains #}) or any(File('words.txt'), {Upper(evt.Meta.y) contains Upper(#)})`, `any(File('words.txt'), {evt.Meta.x == # || Split(evt.Meta.x, ',')[2] == #})`,
	`any(File('words.txt'), {evt.Meta.x == # || upper(evt.Meta.z) endsWith #})`, `any(File('words.txt'), {evt.Meta.x == # || evt.Meta.y == 'x'})`, `any(File('words.txt'), {evt.Meta.x == # || Upper(evt.Unmarshaled.s) == #})`,
	`any(File('words.txt'), {evt.Meta.x == # || evt.Meta.x contains B64Decode(#)})`, `any(File('words.txt'), {evt.Meta.x contains 'x'})`, `any(File('words.txt'), {evt.Meta.x contains # && evt.Meta.y == ''})`, `any(File('words.txt'), {TimeNow() contains #})`, `any(File('words.txt'), {evt.GetMeta('x') == #})`,
	`evt.Meta.x in File('words.txt')`, `evt.Meta.x not in File('words.txt')`, `evt.Unmarshaled.s in File('words.txt')`, `Split(evt.Meta.x, ',')[1] in File('words.txt')`, `Split(evt.Meta.x, ',')[1] in File('none.txt')`, `evt.Type in File('words.txt')`,
	// Helpers and functions.
	`Upper(evt.Meta.x)`, `Lower(evt.Parsed.program) in ['a', 'b']`, `Upper('abc') == Upper(evt.Meta.x)`, `Upper(evt.Unmarshaled.s)`, `Lower(evt.Unmarshaled.s) == 'a'`, `Split(evt.Unmarshaled.s, ',')[0]`, `Split(evt.Meta.x, ',')[1]`,
	`JsonExtract(evt.Line.Raw, 'a.b') == ''`, `JsonExtract(evt.Line.Raw, evt.Meta.path)`, `UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'x') in ['', nil]`, `ParseKV(evt.Line.Raw, evt.Unmarshaled, 'kv') == nil && evt.Unmarshaled.kv.a == 'b'`,
	`XMLGetNodeValue(evt.Line.Raw, '/Event/System[1]/EventID') == '1'`, `IsIP(evt.Meta.ip) && IpInRange(evt.Meta.ip, '192.0.2.0/24')`, `IpInRange(evt.Meta.ip, evt.Meta.net)`, `IsIPV6(evt.Unmarshaled.ip)`, `TrimPrefix(TrimSuffix(evt.Meta.x, ']'), '[')`,
	`Sprintf('%v-%s', evt.Type, evt.Meta.x)`, `Match('*a*', evt.Meta.x)`, `Get(Split(evt.Meta.x, ','), 5)`, `Distance(evt.Enriched.a, '1', '2', evt.Enriched.b)`, `B64Decode(evt.Meta.x)`, `Atof(evt.Meta.n) > 1`, `Boom(evt.Meta.x)`, `evt.Stage == '' || Boom('x')`,
	`ToString(evt.Unmarshaled.a)`, `KeyExists('a', evt.Unmarshaled)`, `Index(evt.Meta.x, 'a') >= 0`, `Fields(evt.Line.Raw)`, `Join(Split(evt.Meta.x, ','), '-')`, `TimeNow() != ''`, `GetFromStash('a', evt.Meta.x) != ''`, `LogInfo('%s', evt.Meta.x)`,
	`upper(evt.Meta.x) == lower(evt.Meta.y)`, `trim(evt.Meta.x)`, `trim(evt.Meta.x, 'a')`, `hasPrefix(evt.Meta.x, 'a') || hasSuffix(evt.Meta.x, 'b')`, `split(evt.Meta.x, ',')[0]`, `indexOf(evt.Meta.x, 'a') + lastIndexOf(evt.Meta.x, 'a')`, `int(evt.Meta.n)`,
	`max(1, evt.Type)`, `abs(-1)`, `replace(evt.Meta.x, 'a', 'b')`, `join(split(evt.Meta.x, ','), '-')`, `duration(evt.Meta.d) > duration('1m')`, `type(evt.Unmarshaled.a)`, `first(Split(evt.Meta.x, ','))`, `toJSON(evt.Unmarshaled.a)`, `len(evt.Meta.x)`,
	// Lists of files.
	`any(File('words.txt'), {evt.Meta.x contains #})`, `any(File('words.txt'), {Upper(evt.Meta.x) contains Upper(#)})`, `any(File('words.txt'), {evt.Meta.x == #})`, `any(File('words.txt'), {evt.Meta.x startsWith #})`,
	`any(File('words.txt'), {evt.Meta.x endsWith #})`, `any(File('words.txt'), {Lower(evt.Meta.x) endsWith Lower(#)})`, `any(File('none.txt'), {evt.Meta.x contains #})`, `any(File('words.txt'), {# contains evt.Meta.x})`,
	`any(File('words.txt'), {Upper(evt.Meta.x) contains #}) or any(File('words.txt'), {Upper(evt.Meta.y) startsWith Upper(#)})`, `any(File('words.txt'), {evt.Meta.x == # && evt.Meta.y != ''})`, `any(File('words.txt'), {evt.Unmarshaled.s contains #})`,
	`all(File('words.txt'), {evt.Meta.x != #})`, `count(File('words.txt'), {evt.Meta.x contains #})`, `any(File('words.txt'), {Upper(PathUnescape(evt.Meta.x)) contains Upper(#)})`, `any(File('words.txt'), {evt.Meta.x contains # ? evt.SetMeta('y', #) : false})`,
	`Upper(evt.Meta.x) == Upper(evt.Meta.y) && evt.SetMeta('x', evt.Meta.y) && Upper(evt.Meta.x) != ''`, `Lower(Upper(evt.Meta.x)) + Upper(evt.Meta.x)`, `any(queue.Queue, {Upper(.Meta.x) == Upper(evt.Meta.x)})`,
	// Overflows and alerts.
	`evt.Overflow.Alert.Scenario == 'x'`, `evt.Overflow.Alert.Source.IP`, `evt.Overflow.Alert?.Source?.IP ?? ''`, `evt.Overflow.Alert.Remediation == true && evt.Overflow.Alert.GetScope() == 'Ip'`, `evt.Overflow.Whitelisted || evt.Overflow.Reprocess`,
	`all(evt.Overflow.Alert.Events, {.GetMeta('exe') == 'x'})`, `any(evt.Overflow.APIAlerts, {.Scenario == 'x'})`, `evt.GetType() == 'overflow' && evt.Overflow.Alert.GetValue() == '192.0.2.1'`, `evt.Overflow.Alert == nil`, `len(evt.Overflow.GetSources())`,
	`evt.Overflow.Alert.EventsCount > 2`, `evt.Appsec.GetName()`, `evt.Appsec.HasInBandMatches ? 'a' : 'b'`, `Sprintf('%v', evt.Appsec.GetRuleIDs())`, `evt.Appsec.Vars.x`, `evt.Overflow.Sources['192.0.2.1'].Scope`, `evt.Overflow.Mapkey + 'x'`,
	`Alert.Remediation == true && Alert.GetScope() == "Ip"`, `Alert.Source.IP`, `Alert.GetScenario() in ['x', 'y']`, `Alert.EventsCount >= 3`, `any(Alert.Events, {.GetMeta('exe') startsWith 'x'})`, `Alert.Scenario contains 'x'`, `len(Alert.Events) > 1`,
	`Alert.GetMeta('x') == ''`, `Sprintf('%dh', len(Alert.Events) * 2)`, `Alert.StopAt.Hour()`, `Alert.Source == nil`, `signal.Alert.Remediation`, `signal.Mapkey == 'k' && signal.Alert.Source.Value != ''`, `len(signal.GetSources())`,
	`(match.name != nil && match.internal != true) ? match.name : ''`, `match.uri`, `len(match)`, `req.Method != '' ? req.UserAgent() : ''`, `req != nil ? req.Host : ''`, `req.Header['User-Agent'][0]`, `req.URL.Path`,
	// Queues.
	`queue.L == 3 && len(queue.GetQueue()) > 1`, `queue.Queue[-1].Meta.x == 'x'`, `queue.Queue[0].Parsed[evt.Meta.x]`, `queue.Queue[evt.Type].Stage`, `len(queue.Queue) > 2`, `queue.Queue[9].Meta.x == ''`, `queue.Queue[-1].Time.Hour()`,
	`any(queue.Queue, .Meta.log_type == 'x')`, `all(queue.Queue, {.Meta.x == 'x' || #.Stage == ''})`, `none(queue.Queue, .Meta.x == 'x')`, `one(queue.Queue, .Meta.x == evt.Meta.x)`, `count(queue.Queue, .Meta.x in ['x', 'y'])`, `count(queue.Queue, .Meta.x == 'x') > 2`,
	`count(queue.Queue, .Meta.x == 'x') >= 1`, `any(queue.Queue, .Meta.x == 'x') and any(queue.Queue, .Meta.y == 'y')`, `any(queue.Queue, .Meta.x == 'x') or any(queue.Queue, .Meta.y == 'y')`, `none(queue.Queue, .Meta.x == 'x') and none(queue.Queue, .Meta.y == 'y')`,
	`map(queue.Queue, .Meta.x)`, `map(queue.Queue, .Unmarshaled.a.b)`, `len(filter(queue.Queue, .Meta.x == 'x'))`, `filter(queue.Queue, .Meta.x == 'x')[0].Meta.y`, `map(filter(queue.Queue, .Meta.x != ''), .Meta.y)`, `filter(map(queue.Queue, .Meta.x), # == 'x')`,
	`any(queue.Queue, {any(queue.Queue, .Meta.x == 'y') && .Meta.y == 'x'})`, `all(queue.Queue, {let m = .Meta.x; m == '' || m == 'x'})`, `MedianInterval(map(queue.Queue[-4:], {#.Time})) < duration('1s')`, `AverageInterval(map(queue.Queue, .Time)) > duration('1s')`,
	`queue.Queue[-1].Time - queue.Queue[0].Time > duration('1h')`, `any(queue.Queue, .Unmarshaled.a == 'x')`, `any(queue.Queue, .Time.Hour() > 9)`, `count(queue.Queue, #index > 0)`, `all(queue.Queue, .GetMeta('x') == '')`, `any(queue.Queue, .SetMeta('y', 'z'))`,
	`leaky.Total_count > 5 && leaky.Mapkey == 'k'`, `leaky.Queue.Queue[0].Meta.x`, `leaky.Duration > duration('1s')`, `leaky.First_ts.Year() == 2001`, `leaky.Queue.L + leaky.Mode`, `leaky.Ovflw_ts == leaky.First_ts`, `leaky.Name + leaky.Uuid`,
	`Distinct(map(queue.Queue, .Meta.x))`, `queue.Queue[1:][0].Meta.x`, `len(Distinct(map(queue.Queue, .Meta.x))) == len(queue.Queue)`,
	// Lists.
	`any(['a', 'b'], {evt.Meta.x contains #})`, `any(Split(evt.Meta.x, ','), # == 'a')`, `map([1, 2, 3], # * 2)`, `filter(evt.Unmarshaled.list, {.key == 'user' && .value.login != ''})[0]['value']['login']`, `any(evt.Unmarshaled.list, {# == 'a'})`,
	`all(evt.Unmarshaled.a, # > 1)`, `count([true, evt.Whitelisted])`, `find(Split(evt.Meta.x, ','), # startsWith 'a')`, `filter(Split(evt.Meta.x, ','), # != '')`, `find([1, 2], # > 5)`, `len(map(1..300000, #)) > 0`, `any(evt.Unmarshaled.list, #)`, `map(1..3, #index)`,
	`filter(evt.Unmarshaled.list, #.key == 'user')[0]`, `one(evt.Unmarshaled.list, # == 1)`, `any(get(evt.Unmarshaled.a, 'b'), {# startsWith 'x'})`, `map(Split(evt.Meta.x, ','), Upper(#))[0] == 'A'`,
}
