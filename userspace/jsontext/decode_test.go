package jsontext

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const jsonLine = `{"level":"info","ts":1711000000.123,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.1","remote_port":"41234",` +
	`"proto":"HTTP/2.0","method":"GET","host":"example.com","uri":"/index.php?page=1","headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64)"],` +
	`"Accept":["*/*"],"Accept-Language":["en-US,en;q=0.5"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865}},"bytes_read":0,"user_id":"",` +
	`"duration":0.000123,"size":2326,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/html; charset=utf-8"]}}`

// checkDecode compares with the standard library.
func checkDecode(t *testing.T, text string) {
	t.Helper()
	var want any
	wantErr := json.Unmarshal([]byte(text), &want)
	got, err := Decode(text)
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%.80q: err = %v, want %v", text, err, wantErr)
	} else if err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%.80q gives %#v, want %#v", text, got, want)
	}
}

func seedJSON() []string {
	return []string{
		jsonLine, ``, ` `, `null`, `true`, `tru`, `falsey`, `{}`, ` [ ] `, `[1,]`, `[,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`,
		`0`, `-0`, `01`, `-`, `1.`, `.5`, `1e5`, `1E+5`, `1e`, `1e999`, `-1.5e-3`, `12345678901234567890`, `1 2`,
		`"a"`, `"`, `"a`, `"\n\t\"\\\/\b\f\r"`, `"\x"`, `"\u0041"`, `"\u004"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ude00\ud83d"`, `"\u"`,
		`"é€😀"`, "\"\xff\"", "\"a\xc3\"", "\"\ufffd\"", "\"\x01\"", "\"\x7f\"", "\u00a0{}", "\"a\\\n\"", `["a\"b\u00e9",{"\u0061":[null,true,[]]}]`,
	}
}

func TestJSONIsDecodedAsTheStandardLibraryDoes(t *testing.T) {
	for _, text := range append(seedJSON(), strings.Repeat("[", 9_999)+strings.Repeat("]", 9_999), strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001),
		strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000), strings.Repeat("[", 100_000)) {
		checkDecode(t, text)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, text := range seedJSON() {
		f.Add(text)
	}
	f.Fuzz(checkDecode)
}
