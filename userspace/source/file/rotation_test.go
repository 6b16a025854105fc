package file

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rotations are the ways in which app.log is replaced by a new, empty app.log.
var rotations = []struct {
	name   string
	begin  func(r *rig)
	rotate func(r *rig, n int)
}{
	{"by renaming", nil, func(r *rig, _ int) { r.rotateByRename("app.log") }},
	{"by renaming to a date", nil, func(r *rig, n int) {
		r.rename("app.log", fmt.Sprintf("app.log-2026021%d", n))
		r.write("app.log", "")
	}},
	{"by copying and truncating", nil, func(r *rig, _ int) { r.rotateByCopy("app.log") }},
	{"by switching a symbolic link", func(r *rig) { r.write("real.0", ""); r.link("real.0", "app.log") }, func(r *rig, n int) {
		r.write(fmt.Sprintf("real.%d", n), "")
		r.link(fmt.Sprintf("real.%d", n), "app.log")
	}},
}

func TestEveryLineIsDeliveredOnceAcrossRotation(t *testing.T) {
	for _, rotation := range rotations {
		for _, pattern := range []string{"app.log", "app.log*"} {
			for _, when := range []string{"between polls", "with a poll after each step", "with a restart after each step", "with a restart after the rotation", "while killed"} {
				t.Run(rotation.name+" "+pattern+" "+when, func(t *testing.T) {
					r := newRig(t, pattern)
					if rotation.begin != nil {
						rotation.begin(r)
					}
					r.write("app.log", "old\n")
					r.start()
					r.poll()
					var want []string
					for n := range 4 {
						step := func(after bool) {
							switch {
							case when == "with a poll after each step":
								r.poll()
							case when == "with a restart after each step":
								r.restart()
								r.poll()
							case when == "with a restart after the rotation" && after:
								r.restart()
								r.poll()
							}
						}
						if n == 1 && when == "while killed" {
							r.kill()
						}
						list, text := lines(fmt.Sprint("generation ", n), 0, 50)
						want = append(want, list...)
						r.write("app.log", text[:len(text)/2])
						step(false)
						r.write("app.log", text[len(text)/2:])
						if when != "with a restart after the rotation" {
							step(false)
						}
						if n < 2 || when != "while killed" {
							rotation.rotate(r, n+1)
							step(true)
						}
						if n == 2 && when == "while killed" {
							r.start()
						}
						if when == "between polls" {
							r.poll()
						}
					}
					r.rest()
					if diff := cmp.Diff(want, r.got); diff != "" {
						t.Errorf("lines differ (-want +got):\n%s\nlog:\n%s", diff, &r.log)
					}
				})
			}
		}
	}
}

func TestUnacknowledgedBatchesAreReadAgainAfterAKill(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	want, text := lines("a", 0, 2000)
	r.write("app.log", text)
	r.hold = true
	r.poll()
	if len(r.pending) < 3 {
		t.Fatalf("%d batches, want some more", len(r.pending))
	}
	r.ack(1)
	done := len(r.got)
	r.pending = slices.Delete(r.pending, 0, 1)
	r.ack(1) // out of order: it may not move the offset
	r.got = r.got[:done]
	r.restart()
	r.hold = false
	r.poll()
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestAFileDeletedAndCreatedAgainIsReadFromItsBeginning(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			r := newRig(t, "app.log")
			r.write("app.log", "old\n")
			r.begin()
			r.poll()
			r.write("app.log", "a\n")
			r.poll()
			r.write("app.log", "b\n")
			if restart {
				r.poll()
				r.kill()
			}
			r.must(os.Remove(r.path("app.log")))
			r.write("app.log", "c, longer than all before\n")
			if restart {
				r.start()
			}
			r.rest()
			r.write("app.log", "d\n")
			r.poll()
			want := []string{"a", "b", "c, longer than all before", "d"}
			if diff := cmp.Diff(want, r.got); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTruncationIsSeenThoughTheFileHasGrownBeyondTheOldOffset(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	r.write("app.log", "first\nsecond\n")
	r.poll()
	r.must(os.Truncate(r.path("app.log"), 0))
	r.write("app.log", "third\nfourth\nfifth\nsixth\n")
	r.poll()
	want := []string{"first", "second", "third", "fourth", "fifth", "sixth"}
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if n := r.follow.Stats().Truncations; n != 1 {
		t.Errorf("truncations = %d, want 1", n)
	}
}

func TestAWriterThatKeepsItsOffsetAfterTruncationLeavesAHoleThatIsSkipped(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	_, text := lines("a", 0, 20000)
	r.write("app.log", text)
	r.poll()
	r.got = nil
	r.must(os.Truncate(r.path("app.log"), 0))
	f, err := os.OpenFile(r.path("app.log"), os.O_WRONLY, 0)
	r.must(err)
	_, err = f.WriteAt([]byte("after the hole\n"), int64(len(text)))
	r.must(err)
	r.must(f.Close())
	r.poll()
	r.write("app.log", "next\n")
	r.poll()
	if diff := cmp.Diff([]string{"after the hole", "next"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestAHalfLineWaitsForItsEndOrForTheEndOfItsFile(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	r.write("app.log", "one\ntw")
	r.rest()
	r.restart()
	r.rest()
	r.write("app.log", "o\nthree, cut sho")
	r.poll()
	if diff := cmp.Diff([]string{"one", "two"}, r.got); diff != "" {
		t.Fatalf("lines differ (-want +got):\n%s", diff)
	}
	r.rotateByRename("app.log")
	r.write("app.log", "four\n")
	r.rest()
	if diff := cmp.Diff([]string{"one", "two", "four", "three, cut sho"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if n := len(r.follow.tails); n != 1 {
		t.Errorf("%d files open, want the rotated one closed", n)
	}
}

func TestAFileSavedAnewByAnEditorIsNotReadAgain(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	want, text := lines("a", 0, 200)
	r.write("app.log", text)
	r.poll()
	r.write("app.log.tmp", text+"more\n")
	r.rename("app.log.tmp", "app.log")
	r.rest()
	if diff := cmp.Diff(append(want, "more"), r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestACopyBesideTheLogIsNotReadWhileAFileWithTheSameHeaderIs(t *testing.T) {
	r := newRig(t, "app.log*")
	r.begin()
	header := strings.Repeat("#", 300) + "\n"
	r.write("app.log", header+"a\nb\n")
	r.poll()
	r.write("app.log.copy", header+"a\nb\n")
	r.write("app.log.other", header)
	r.poll()
	r.write("app.log.other", "c\n")
	r.poll()
	r.write("app.log", "d\n")
	r.poll()
	header = strings.TrimSuffix(header, "\n")
	if diff := cmp.Diff([]string{header, "a", "b", header, "c", "d"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestALogThatIsCopiedThenRenamedWhileNobodyLooksIsReadAgainAfterAKill(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		t.Run(pattern, func(t *testing.T) {
			r := newRig(t, pattern)
			r.write("app.log", "old\n")
			r.begin()
			r.kill()
			r.rotateByCopy("app.log")
			r.write("app.log", "one\n")
			r.rotateByRename("app.log")
			r.hold = true
			r.start()
			r.poll()
			r.restart() // nothing was done with
			r.hold = false
			r.poll()
			if diff := cmp.Diff([]string{"one"}, r.got); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLateWritesToARotatedLogAreRead(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	r.write("app.log", "one\n")
	r.poll()
	r.rename("app.log", "app.log.1")
	r.poll()
	r.write("app.log.1", "two\n") // the writer has not opened its new log yet
	r.poll()
	r.write("app.log", "three\n")
	r.poll()
	r.write("app.log.1", "four\n")
	r.restart()
	r.poll()
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestRotatedLogsFromBeforeTheFirstStartAreLeftAlone(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("app.log", "")
	r.write("app.log.1", "written by a slow writer after the rotation\n")
	r.now = r.now.Add(time.Hour)
	r.begin()
	r.write("app.log", "one\n")
	r.poll()
	r.rotateByRename("app.log")
	r.write("app.log", "two\n")
	r.restart()
	r.poll()
	if diff := cmp.Diff([]string{"one", "two"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}
