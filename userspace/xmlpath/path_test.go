package xmlpath

import (
	"strconv"
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
	f := NewFinder()
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
			for range 2 { // the second time from memory
				if e := f.Find(doc, tt.path); e != nil {
					got = e.Text()
				}
				if got != tt.want {
					t.Errorf("text = %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestTextEndsAtTheFirstChild(t *testing.T) {
	f := NewFinder()
	const doc = "<a>one<!-- c --> two<![CDATA[ <three>]]><b>four</b>five<b></b><c>six</c></a>"
	for path, want := range map[string]string{"/a": "one two <three>", "/a/b": "four", "/a/b[2]": "", "/a/c": "six"} {
		if e := f.Find(doc, path); e == nil || e.Text() != want {
			t.Errorf("%s gives %v, want %q", path, e, want)
		}
	}
}

func TestWhatAFinderRemembersIsBounded(t *testing.T) {
	f := NewFinder()
	for i := range 3 * rememberedPaths {
		f.Find("<a>"+strconv.Itoa(i)+"</a>", "/a["+strconv.Itoa(i)+"]")
	}
	for i := range 3 * rememberedLarge {
		f.Find("<a>"+strings.Repeat(strconv.Itoa(i), largeDoc)+"</a>", "/a")
		f.Find("<a>", strings.Repeat("/a", maxPath))
	}
	if f.docs.Len() > rememberedDocs || f.large.Len() > rememberedLarge || f.paths.Len() > rememberedPaths {
		t.Errorf("%d documents, %d large ones and %d paths are remembered", f.docs.Len(), f.large.Len(), f.paths.Len())
	}
}

func BenchmarkFind(b *testing.B) {
	doc := "<Event><System><EventID>4625</EventID></System><EventData>" + strings.Repeat("<Data Name='Field'>value</Data>", 25) + "<Data Name='IpAddress'>192.0.2.1</Data></EventData></Event>"
	f := NewFinder()
	b.ReportAllocs()
	for b.Loop() {
		if f.Find(doc, "/Event/EventData[1]/Data[@Name='IpAddress']") == nil {
			b.Fatal("not found")
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(`<Event><EventData><Data Name="IpAddress">192.0.2.1</Data></EventData></Event>`, "/Event//Data[@Name='IpAddress'][1]")
	f.Fuzz(func(t *testing.T, text, path string) {
		finder := NewFinder()
		first := finder.Find(text, path)
		if again := finder.Find(text, path); again != first {
			t.Errorf("%q in %q gives %v, then %v", path, text, first, again)
		}
	})
}
