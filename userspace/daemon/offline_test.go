package daemon

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"gabion/loader"
)

func TestWithoutKernelTablesThereIsNothingToChange(t *testing.T) {
	r := newRig(t)
	o := Options{Config: r.config(""), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := OpenOffline(t.Context(), o); err == nil || !strings.Contains(err.Error(), "kernel.mode is off") {
		t.Errorf("with the kernel side off: %v", err)
	}
	o.Config.Kernel.Mode, o.Config.Kernel.PinDir = "auto", r.path("pins")
	if _, err := OpenOffline(t.Context(), o); !errors.Is(err, loader.ErrNotLoaded) {
		t.Errorf("with nothing pinned: %v", err)
	}
	if _, err := os.Stat(r.path("state")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left a state directory: %v", err)
	}
}
