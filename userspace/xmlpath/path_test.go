package xmlpath

import (
	"strings"
	"testing"
)

func TestADocumentIsBounded(t *testing.T) {
	for _, bad := range []string{
		strings.Repeat("<a>", maxXMLDepth+1) + strings.Repeat("</a>", maxXMLDepth+1),
		"<a>" + strings.Repeat("<b/>", maxXMLElements) + "</a>",
		"<a>" + strings.Repeat(" ", maxXMLBytes) + "</a>",
		"<a></b>", "</a>", "<a", "<a>&nope;</a>", "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "\x00",
	} {
		if _, err := parseXML(bad); err == nil {
			t.Errorf("%.40q is accepted", bad)
		}
	}
}

func TestFind(t *testing.T) {
	const doc = `<e:Event xmlns:e="x"><Data Name="A">1</Data><Data Name="B">2<i/>3</Data><Sub><Data>4</Data></Sub></e:Event>`
	for _, tt := range []struct{ path, want string }{
		{"/Event/Data", "1"},
		{"/e:Event/Data[2]", "2"},
		{"/x:Event/Data", ""},
		{"/Event/Data[-1]", "2"},
		{"/Event/Data[@Name='B']", "2"},
		{"//Sub/Data", "4"},
		{"//Data[@Name][2]", "2"},
		{"/Event/Sub[Data='4']/*", "4"},
		{"/Event/Sub/../Data", "1"},
		{"/Event/Data[0]", ""},
		{"/Event///Data", ""},
		{"/Event/", ""},
		{"/", ""},
		{"/Event/..", ""},
		{"/Event/Data[text()='1']", ""},
	} {
		t.Run(tt.path, func(t *testing.T) {
			got := ""
			if e := Find(doc, tt.path); e != nil {
				got = e.Text()
			}
			if got != tt.want {
				t.Errorf("text = %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzFind(f *testing.F) {
	f.Add(`<Event><EventData><Data Name="IpAddress">192.0.2.1</Data></EventData></Event>`, "/Event//Data[@Name='IpAddress'][1]")
	f.Fuzz(func(_ *testing.T, text, path string) {
		Find(text, path)
	})
}
