package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// linkPin is one file below links/. Its name is mode-ifindex-interface, for example native-3-eth0, so
// that ls shows what is attached. For clsact, which has no link, the file is the program.
type linkPin struct {
	path    string
	mode    Mode
	ifindex int
	ifname  string // when it was attached
}

// bpffs refuses names with a dot, interface names may have one (eth0.100).
const dotEscape = "~"

func (p *Plane) pinPath(nic *netlink.LinkAttrs, mode Mode) string {
	name := fmt.Sprintf("%s-%d-%s", mode, nic.Index, strings.ReplaceAll(nic.Name, ".", dotEscape))
	return filepath.Join(p.dir, linksDir, name)
}

// linkPins reads the directory of links. Files that are not gabion's are left out.
func (p *Plane) linkPins() ([]linkPin, error) {
	entries, err := os.ReadDir(filepath.Join(p.dir, linksDir))
	if err != nil {
		return nil, fmt.Errorf("list attachments: %w", err)
	}
	var pins []linkPin
	for _, e := range entries {
		part := strings.SplitN(e.Name(), "-", 3)
		if len(part) != 3 {
			continue
		}
		index, err := strconv.Atoi(part[1])
		if err != nil {
			continue
		}
		pins = append(pins, linkPin{
			path:    filepath.Join(p.dir, linksDir, e.Name()),
			mode:    Mode(part[0]),
			ifindex: index,
			ifname:  strings.ReplaceAll(part[2], dotEscape, "."),
		})
	}
	slices.SortFunc(pins, func(a, b linkPin) int { return a.ifindex - b.ifindex })
	return pins, nil
}

// pinLink makes an attachment outlive the process. The handle is closed: the pin holds the link.
func (p *Plane) pinLink(l link.Link, nic *netlink.LinkAttrs, mode Mode) error {
	defer l.Close()
	if err := l.Pin(p.pinPath(nic, mode)); err != nil {
		return fmt.Errorf("pin link: %w", err)
	}
	return nil
}

// inspect says how a pinned attachment is doing.
func (p *Plane) inspect(pin linkPin) (Attachment, error) {
	a := Attachment{Interface: pin.ifname, Ifindex: pin.ifindex, Mode: pin.mode}
	if pin.mode.isClsact() {
		f, err := findFilter(pin.ifindex, pin.mode)
		if err != nil {
			return a, err
		}
		a.Stale = f == nil
	} else {
		l, err := link.LoadPinnedLink(pin.path, nil)
		if err != nil {
			return a, fmt.Errorf("open link of %s: %w", pin.ifname, err)
		}
		defer l.Close()
		index, err := linkIfindex(l)
		if err != nil {
			return a, err
		}
		a.Stale = index == 0
	}
	if !a.Stale {
		if nic, err := netlink.LinkByIndex(pin.ifindex); err == nil {
			a.Interface = nic.Attrs().Name // it may have been renamed
		}
	}
	return a, nil
}

// release ends an attachment, so that another can be made at once.
func (p *Plane) release(pin linkPin) error {
	end := detachLink
	if pin.mode.isClsact() {
		end = func(linkPin) error { return removeFilter(pin.ifindex, pin.mode) }
	}
	if err := end(pin); err != nil {
		return fmt.Errorf("detach from %s: %w", pin.ifname, err)
	}
	if err := os.Remove(pin.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("detach from %s: %w", pin.ifname, err)
	}
	return nil
}

// detachLink takes the program off the interface now. Removing the pin alone does that too, but a
// moment later, and until then the hook is taken.
func detachLink(pin linkPin) error {
	l, err := link.LoadPinnedLink(pin.path, nil)
	if err != nil {
		return fmt.Errorf("open link: %w", err)
	}
	defer l.Close()
	index, err := linkIfindex(l)
	if err != nil || index == 0 {
		return err
	}
	if err := l.Detach(); err != nil {
		return fmt.Errorf("detach link: %w", err)
	}
	return nil
}

func (p *Plane) program(mode Mode) *ebpf.Program {
	switch {
	case mode == ModeNative || mode == ModeGeneric:
		return p.xdp
	case mode.isEgress():
		return p.egress
	}
	return p.tc
}

// linkIfindex returns the interface that a link serves; 0 when that is gone.
func linkIfindex(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("read link info: %w", err)
	}
	if x := info.XDP(); x != nil {
		return int(x.Ifindex), nil
	}
	if t := info.TCX(); t != nil {
		return int(t.Ifindex), nil
	}
	return 0, fmt.Errorf("link %d is of type %d, not XDP or tcx", info.ID, info.Type)
}

func tcxOptions(ifindex int, prog *ebpf.Program, at ebpf.AttachType) link.TCXOptions {
	return link.TCXOptions{
		Interface: ifindex, Program: prog, Attach: at, Anchor: link.Head(),
	}
}

// runningProgram returns the program that an attachment runs; 0 when it is gone.
func runningProgram(pin linkPin) (ebpf.ProgramID, error) {
	if pin.mode.isClsact() {
		f, err := findFilter(pin.ifindex, pin.mode)
		if err != nil || f == nil {
			return 0, err
		}
		return ebpf.ProgramID(f.Id), nil
	}
	l, err := link.LoadPinnedLink(pin.path, nil)
	if err != nil {
		return 0, fmt.Errorf("open link of %s: %w", pin.ifname, err)
	}
	defer l.Close()
	index, err := linkIfindex(l)
	if err != nil || index == 0 {
		return 0, err
	}
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("read link info: %w", err)
	}
	return info.Program, nil
}

// Remove detaches the filter everywhere and unpins everything below dir: from then on nothing is
// filtered. It fails with ErrBusy while a daemon runs, and touches nothing when dir is no data plane of
// gabion, of whatever version. It is no error if nothing is pinned.
func Remove(dir string) error {
	if dir == "" {
		dir = DefaultDir
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("remove data plane %s: %w", dir, err)
	}
	defer lock.Close()
	if err := checkRemovable(dir); err != nil {
		return fmt.Errorf("remove data plane %s: %w", dir, err)
	}
	p := &Plane{dir: dir}
	pins, err := p.linkPins()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, pin := range pins {
		errs = append(errs, p.release(pin))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := removePins(dir); err != nil {
		return fmt.Errorf("remove data plane %s: %w", dir, err)
	}
	return nil
}

// checkRemovable refuses what could be anything: a data plane is on a bpffs and holds its ABI version,
// until it is empty.
func checkRemovable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	own := len(entries) == 0 || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == bpfMapAbi })
	if !own || !onBPFFS(dir) {
		return errors.New("it holds no data plane of gabion: remove it by other means")
	}
	return nil
}

// removePins deletes a data plane's directory. What tells that it is one goes last, so that after an
// interruption it can be repeated.
func removePins(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == bpfMapAbi {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
