package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gabion/userspace/client"
	"gabion/userspace/config"
)

// client returns a client of the daemon that the flags, the environment or the daemon's file name.
// A file that cannot be read does not matter when the flags say all.
func (a *app) client() (*client.Client, error) {
	address, keyFile := a.socket, a.keyFile
	if address == "" {
		address = a.getenv("GABION_SOCKET")
	}
	if address == "" || keyFile == "" {
		cfg, err := config.Load(a.config)
		if err != nil {
			return nil, fmt.Errorf("%w\nTo reach a running daemon all the same, give --socket and --key-file", err)
		}
		address = orText(address, cfg.API.Socket)
		keyFile = orText(keyFile, cfg.KeyFile())
	}
	key, err := readKey(keyFile, filepath.Join(filepath.Dir(address), config.KeyName))
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{Address: address, Key: key, UserAgent: "gabion/" + versionText()})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// readKey returns the key of the Local API from the first of the files that exists: a daemon whose
// state directory is read-only keeps it beside its socket. Without any it returns none: then no
// daemon has run, and calling it says so.
func readKey(files ...string) (string, error) {
	for _, path := range files {
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case errors.Is(err, fs.ErrPermission) && !strings.Contains(err.Error(), "as root"):
			return "", fmt.Errorf("read API key %s: permission denied: run this command as root (sudo), or name a readable file with --key-file", path)
		case err != nil:
			return "", fmt.Errorf("read API key: %w", err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	return "", nil
}

// advise adds to an error of the client what to do about it.
func advise(err error) error {
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrNotRunning):
		return fmt.Errorf("%w: start it with 'gabion run', or name its socket with --socket", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this command as root (sudo)", err)
	case errors.As(err, &answer) && answer.Status == 403:
		return errors.New("the daemon refused the API key: name the right one with --key-file (api.key in the daemon's state directory)")
	}
	return err
}

// pinDir returns where the kernel maps are pinned: the flag's value, or what the daemon's file says.
func (a *app) pinDir(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	cfg, err := config.Load(a.config)
	if err != nil {
		return "", err
	}
	return cfg.Kernel.PinDir, nil
}
