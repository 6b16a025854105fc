package file

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// machine is a random history of one log: written, rotated, read, interrupted.
type machine struct {
	*rig
	want []string
	next int
	link int
}

func (m *machine) Append(t *rapid.T) {
	m.lines(rapid.IntRange(1, 30).Draw(t, "lines"), rapid.IntRange(0, 40).Draw(t, "padding"))
}

func (m *machine) AppendMuch(*rapid.T) { m.lines(600, 60) }

func (m *machine) lines(n, padding int) {
	var text strings.Builder
	for range n {
		line := fmt.Sprintf("line %d %0*d", m.next, padding, 0)
		m.next++
		m.want = append(m.want, line)
		text.WriteString(line + "\n")
	}
	m.write("app.log", text.String())
}

func (m *machine) AppendHalf(t *rapid.T) {
	line := fmt.Sprintf("line %d in two parts", m.next)
	m.next++
	m.want = append(m.want, line)
	m.write("app.log", line[:8])
	if rapid.Bool().Draw(t, "poll between") {
		m.Poll(t)
	}
	m.write("app.log", line[8:]+"\n")
}

// Wait lets more time pass than the millisecond that everything takes.
func (m *machine) Wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "milliseconds")) * time.Millisecond)
}

func (m *machine) Poll(t *rapid.T) {
	if m.follow != nil {
		m.hold = rapid.Bool().Draw(t, "busy engine")
		m.poll()
	}
}

func (m *machine) Ack(t *rapid.T) {
	if len(m.pending) > 0 {
		m.ack(rapid.IntRange(1, len(m.pending)).Draw(t, "batches"))
	}
}

func (m *machine) Kill(*rapid.T) {
	if m.follow != nil {
		m.kill()
	}
}

// KillWithin kills in the middle of reading, between two batches.
func (m *machine) KillWithin(t *rapid.T) {
	if m.follow != nil {
		m.lives = rapid.IntRange(1, 4).Draw(t, "batches until the kill")
		m.Poll(t)
		m.lives = 0
	}
}

func (m *machine) Start(t *rapid.T) {
	if m.follow == nil {
		m.start()
		m.Poll(t)
	}
}

func (m *machine) rotate(t *rapid.T, kind string) {
	switch rapid.SampledFrom(strings.Split(kind, " or ")).Draw(t, "kind") {
	case "rename":
		m.rotateByRename("app.log")
	case "copytruncate":
		m.rotateByCopy("app.log")
	case "link":
		m.link++
		m.write(fmt.Sprintf("real.%d", m.link), "")
		m.rig.link(fmt.Sprintf("real.%d", m.link), "app.log")
	}
}

func (m *machine) finish() {
	if m.follow == nil {
		m.start()
	}
	m.hold = false
	m.ack(len(m.pending))
	m.rest()
}

func TestNoHistoryOfALogLosesOrRepeatsALine(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		for _, kind := range []string{"rename or copytruncate", "link or copytruncate"} {
			t.Run(kind+" "+pattern, func(t *testing.T) {
				rapid.Check(t, func(rt *rapid.T) {
					m := &machine{rig: newRig(rt, pattern)}
					if strings.HasPrefix(kind, "link") {
						m.write("real.0", "")
						m.rig.link("real.0", "app.log")
					}
					m.write("app.log", "before the first start\n")
					m.begin()
					actions := rapid.StateMachineActions(m)
					actions["Rotate"] = func(rt *rapid.T) { m.rotate(rt, kind) }
					rt.Repeat(actions)
					m.finish()
					got, want := slices.Clone(m.got), slices.Clone(m.want)
					slices.Sort(got)
					slices.Sort(want)
					if diff := cmp.Diff(want, got); diff != "" {
						rt.Errorf("lines differ (-want +got):\n%s\nlog:\n%s", diff, &m.log)
					}
				})
			})
		}
	}
}

// Check implements rapid.StateMachine; what holds is checked at the end of a history.
func (m *machine) Check(*rapid.T) {}
