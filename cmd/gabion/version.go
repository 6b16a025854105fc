package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"gabion/loader"
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	BPFTag   string `json:"bpf_tag"` // of the XDP program, as bpftool prog shows it
	BPFABI   int    `json:"bpf_abi"` // of the pinned maps
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of the program and of the BPF object inside it",
		Example: "  gabion version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			v.BPFTag, v.BPFABI = loader.Tag(), loader.ABI
			return a.show(v, func(w io.Writer) error {
				revision := v.Revision
				if v.Modified {
					revision += " (modified)"
				}
				return fields(w, "gabion", v.Version, "revision", revision,
					"BPF object", fmt.Sprintf("tag %s, ABI %d", v.BPFTag, v.BPFABI), "go", v.Go, "platform", v.Platform)
			})
		},
	}
}

func buildVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionText() string { return buildVersion().Version }
