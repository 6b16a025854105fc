package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/client"
)

func TestListsAreImportedSwitchedAndRemoved(t *testing.T) {
	srv := mustServer(t, &fakeBackend{})
	c := mustClient(t, srv)
	if all, err := c.Lists(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("lists = %v, %v", all, err)
	}
	l, err := c.ImportList(t.Context(), "bad", client.ListImport{Duration: "7d", File: "bad.txt", Mode: "shadow"}, strings.NewReader("192.0.2.1\n192.0.2.0/24\n"))
	if want := (&client.List{Name: "bad", Mode: "shadow", Entries: 2, Origin: "bad.txt"}); err != nil || !cmp.Equal(want, l) {
		t.Errorf("import = %+v, %v", l, err)
	}
	if err := c.SetListMode(t.Context(), "bad", "off"); err != nil {
		t.Error(err)
	}
	var answer *client.Error
	if err := c.SetListMode(t.Context(), "none", "off"); !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		t.Errorf("mode of no list = %v", err)
	}
	if all, err := c.Lists(t.Context()); err != nil || len(all) != 1 || all[0].Mode != "off" {
		t.Errorf("lists = %v, %v", all, err)
	}
	for name, want := range map[string]int{"bad": 1, "none": 0} {
		if n, err := c.RemoveList(t.Context(), name); n != want || err != nil {
			t.Errorf("remove %s = %d, %v", name, n, err)
		}
	}
}

func TestAListThatCannotBeUsedIsRefused(t *testing.T) {
	backend := &fakeBackend{}
	srv := mustServer(t, backend)
	for _, tt := range []struct{ name, path, body, want string }{
		{"no entries", "bad?duration=1h&file=x.txt", "# none\n", "x.txt: there is no address"},
		{"a fault", "bad?duration=1h&file=x.txt", "192.0.2.1\nx\n", `x.txt:2: \"x\"`},
		{"many faults and more", "bad?duration=1h", strings.Repeat("nonsense\n", 1<<20), "-: the rest was not read"},
		{"no duration", "bad", "192.0.2.1\n", "duration"},
		{"ended", "bad?duration=-1h", "192.0.2.1\n", "duration"},
		{"mode", "bad?duration=1h&mode=kill", "192.0.2.1\n", "choose drop, shadow"},
		{"name", "BAD?duration=1h", "192.0.2.1\n", "is no name for a list"},
		{"name that leaves the directory", "..%2fx?duration=1h", "192.0.2.1\n", "is no name for a list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, srv, http.MethodPut, "/v1/gabion/lists/"+tt.path, tt.body)
			if status != http.StatusBadRequest || !strings.Contains(body, tt.want) {
				t.Errorf("%d %.300s; want %q", status, body, tt.want)
			}
		})
	}
	if status, body := ask(t, srv, http.MethodPut, "/v1/gabion/lists/bad/mode", `{"mode":"no"}`); status != http.StatusBadRequest {
		t.Errorf("mode = %d %s", status, body)
	}
	if len(backend.lists) != 0 {
		t.Errorf("taken all the same: %v", backend.lists)
	}
}

func TestACompressedListIsRead(t *testing.T) {
	backend := &fakeBackend{}
	srv := mustServer(t, backend)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("192.0.2.1\n2001:db8::1\n"))
	_ = w.Close()
	status, body := ask(t, srv, http.MethodPut, "/v1/gabion/lists/bad?duration=1h", packed.String(), "Content-Encoding", "gzip")
	if status != http.StatusOK || len(backend.lists) != 1 || backend.lists[0].Entries != 2 {
		t.Errorf("%d %s", status, body)
	}
	half := packed.String()[:packed.Len()-6]
	if status, _ := ask(t, srv, http.MethodPut, "/v1/gabion/lists/bad?duration=1h", half, "Content-Encoding", "gzip"); status != http.StatusBadRequest {
		t.Errorf("a list that was cut: %d", status)
	}
}

func TestABombIsCutWithAnError(t *testing.T) {
	b := &bounded{r: strings.NewReader(strings.Repeat("#", 100)), left: 50}
	buf := make([]byte, 30)
	if n, err := b.Read(buf); n != 30 || err != nil {
		t.Errorf("read = %d, %v", n, err)
	}
	if n, err := b.Read(buf); n != 0 || err == nil {
		t.Errorf("read beyond the limit = %d, %v", n, err)
	}
}
