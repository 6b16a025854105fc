package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// initramfs writes the archive that a kernel unpacks as its first file system (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst).
type initramfs struct {
	w    *bufio.Writer
	n    int64 // bytes written
	ino  int
	dirs map[string]bool
}

func newInitramfs(w io.Writer) *initramfs {
	return &initramfs{w: bufio.NewWriter(w), dirs: map[string]bool{".": true, "/": true}}
}

// add writes a file with the directories above it. Name is absolute.
func (a *initramfs) add(name string, perm fs.FileMode, content []byte) error {
	if err := a.mkdir(path.Dir(name)); err != nil {
		return err
	}
	return a.entry(name, 0o100000|uint32(perm.Perm()), content)
}

func (a *initramfs) mkdir(dir string) error {
	if a.dirs[dir] {
		return nil
	}
	if err := a.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	a.dirs[dir] = true
	return a.entry(dir, 0o040755, nil)
}

// addFile copies a file of the machine.
func (a *initramfs) addFile(name, from string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return a.add(name, st.Mode(), content)
}

// addTree copies a directory of regular files.
func (a *initramfs) addTree(name, from string) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return a.addFile(path.Join(name, filepath.ToSlash(rel)), file)
	})
}

func (a *initramfs) entry(name string, mode uint32, content []byte) error {
	a.ino++
	name = strings.TrimPrefix(name, "/")
	// Numbers: inode, mode, user, group, links, time, size, device (2), device of a node (2), length of
	// the name with its NUL, checksum.
	header := "070701"
	for _, field := range []int{a.ino, int(mode), 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
		header += fmt.Sprintf("%08x", field)
	}
	if err := a.padded(header + name + "\x00"); err != nil {
		return err
	}
	return a.padded(string(content))
}

// padded writes s and fills up to a multiple of four bytes.
func (a *initramfs) padded(s string) error {
	n, err := a.w.WriteString(s)
	if err != nil {
		return err
	}
	a.n += int64(n)
	for ; a.n%4 != 0; a.n++ {
		if err := a.w.WriteByte(0); err != nil {
			return err
		}
	}
	return nil
}

// close ends the archive.
func (a *initramfs) close() error {
	if err := a.entry("TRAILER!!!", 0, nil); err != nil {
		return err
	}
	return a.w.Flush()
}
