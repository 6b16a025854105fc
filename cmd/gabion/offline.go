package main

import (
	"context"
	"errors"
	"fmt"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/config"
	"gabion/userspace/daemon"
)

// editor returns a client for a command that changes something, and what to call at its end. When no
// daemon answers it is a client of this process, which has taken the daemon's place: then kernel and
// record are changed directly.
func (a *app) editor(ctx context.Context) (c *client.Client, done func() error, err error) {
	c, err = a.client()
	if err != nil {
		return nil, nil, err
	}
	err = c.Health(ctx)
	var answer *client.Error
	if err == nil || errors.As(err, &answer) {
		return c, func() error { c.Close(); return nil }, nil
	}
	cfg, cfgErr := config.Load(a.config)
	if !errors.Is(err, client.ErrNotRunning) || cfgErr != nil || c.Address() != cfg.API.Socket {
		return nil, nil, err // not this machine's daemon, as its file describes it
	}
	return a.offline(ctx, cfg, err)
}

func (a *app) offline(ctx context.Context, cfg *config.Config, notRunning error) (*client.Client, func() error, error) {
	log := cfg.Log
	log.Level = "error" // what a daemon tells of its start is not asked for here
	f, err := daemon.OpenOffline(ctx, daemon.Options{Config: cfg, Version: versionText(), Now: a.now, Log: logger(a.stderr, log)})
	switch {
	case errors.Is(err, loader.ErrNotLoaded):
		return nil, nil, fmt.Errorf("%w, and no data plane is pinned at %s that could be changed without it", notRunning, cfg.Kernel.PinDir)
	case errors.Is(err, daemon.ErrBusy):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("the daemon is not running: %w", err)
	}
	handler, key := f.Handler()
	c, err := client.New(client.Options{Address: "http://gabion", Key: key, Transport: client.Local(handler)})
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	fmt.Fprintln(a.stderr, "The daemon is not running: kernel tables and record are changed directly.")
	return c, f.Close, nil
}

// edit runs do with an editor.
func (a *app) edit(ctx context.Context, do func(*client.Client) error) error {
	c, done, err := a.editor(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(c), done())
}
